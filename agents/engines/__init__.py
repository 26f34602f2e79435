"""Other people's programs as agents: engines that speak UCI, USI or GTP, each in a process of its own."""
