import pytest

from mdctl.cluster.refusal import explain


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (401, {"message": "Unauthorized"}, "log in again"),
        (403, {"message": 'pods "p" is forbidden: violates PodSecurity "restricted:latest"'}, "use another namespace"),
        (403, {"message": "exceeded quota: pods"}, "ResourceQuota"),
        (403, {"message": 'User "me" cannot create resource'}, "administrator"),
        (404, {"message": 'namespaces "nope" not found'}, "create the namespace"),
        (404, {"message": "404 page not found"}, "install JobSet: kubectl apply --server-side"),
        (409, {"message": 'jobsets "j" already exists'}, "--name"),
        (422, {"message": "spec.x: Invalid value"}, "refuses it as written"),
        (503, {}, "the cluster answered 503; try again"),
    ],
)
def test_a_refusal_says_what_whose_words_and_the_next_step(status, answer, words):
    error = explain(status, answer, "JobSet default/j")
    assert str(error).startswith(f"JobSet default/j: {answer.get('message', 'no reason given')}\n")
    assert words in str(error)
    assert (error.status, error.exit_code) == (status, 2)
