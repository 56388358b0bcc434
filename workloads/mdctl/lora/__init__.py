"""Low-rank adapters (LoRA), for every model: read, laid over parameters, merged or kept apart, drawn anew, saved.

Source: LoRA (arXiv 2106.09685), as PEFT has it. With the kernel W of a module and an adapter's factors of rank r,

    W' = W + scale (alpha / r) up down                                        (1)

A file names modules as published; where each lives among our parameters says the model's weight table, so that no
model is known here.

    parts = {"unet": modules(table, abstract), ...}
    adapter = read(path, parts)                         what a file says, in any format
    placed = place(adapter["unet"], parts["unet"])      the same as factors of our parameters
    params = merged(params, [(placed, 0.8)])            (1); the base stays what it was, and is how one comes back
    denoise = adapted(denoise)                          takes both, and scales that change without compiling again
    placed = fresh(parts["unet"], ["to_q"], rank=4, alpha=4, key=key)        to train; `trained` is what of it
    save(folder, {"unet": placed}, parts)               for diffusers; `save_peft` for PEFT

Letters: L layers of a stack, I inputs (of a convolution: its window and channels), R rank, O outputs.
"""
