// The JobSet of clusters that xpk makes: only its definition is read, nothing is built.
module mdctl.test/jobset-0.10

go 1.24.0

require sigs.k8s.io/jobset v0.10.1
