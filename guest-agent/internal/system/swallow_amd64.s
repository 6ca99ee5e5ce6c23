#include "textflag.h"

// The kernel calls it with the signal in DI, its siginfo in SI and the context in DX; si_code is at 8(SI). Zero and
// below is what processes send.
TEXT ·swallowSent(SB), NOSPLIT|NOFRAME, $0
	CMPL	8(SI), $0
	JGT	fault
	RET
fault:
	MOVQ	·runtimeHandler(SB), AX
	JMP	AX

TEXT ·swallowSentAddress(SB), NOSPLIT, $0-8
	LEAQ	·swallowSent(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
