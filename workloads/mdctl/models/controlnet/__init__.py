"""The ControlNets of Stable Diffusion 1.x, 2.x and XL: the network as published, its weight table and its layout."""
