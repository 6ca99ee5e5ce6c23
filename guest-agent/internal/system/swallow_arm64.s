#include "textflag.h"

// The kernel calls it with the signal in R0, its siginfo in R1 and the context in R2; si_code is at 8(R1). Zero and
// below is what processes send.
TEXT ·swallowSent(SB), NOSPLIT|NOFRAME, $0
	MOVW	8(R1), R9
	CMPW	$0, R9
	BGT	fault
	RET
fault:
	MOVD	·runtimeHandler(SB), R9
	JMP	(R9)

TEXT ·swallowSentAddress(SB), NOSPLIT, $0-8
	MOVD	$·swallowSent(SB), R9
	MOVD	R9, ret+0(FP)
	RET
