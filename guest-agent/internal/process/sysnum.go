package process

// The syscall package is frozen and does not name them. Their numbers are the same on all machines that a guest runs on.
const (
	sysPidfdSendSignal = 424
	sysPidfdOpen       = 434
)
