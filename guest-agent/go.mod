module guest-agent

go 1.19

require github.com/hashicorp/yamux v0.1.2
