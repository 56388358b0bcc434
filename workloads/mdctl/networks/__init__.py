"""What is trained and sampled: a family's denoiser, and what a job puts around it."""
