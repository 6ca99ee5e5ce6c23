package process

// The frozen syscall package lacks these. Their numbers are the same on all supported architectures.
const (
	sysPidfdSendSignal = 424
	sysPidfdOpen       = 434
)
