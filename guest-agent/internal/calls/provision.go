package calls

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"guest-agent/internal/guard"
	"guest-agent/internal/link"
	"guest-agent/internal/userdata"
)

// The host sends at most 1 MiB of parts; JSON may double what it escapes.
const planBytesMax = 4 << 20

// CarryOutUserData makes the agent carry out user data in the root file system at root, and show the progress on
// the console. Call it before Serve.
func (a *Agent) CarryOutUserData(root string, console guard.Log) {
	a.root = root
	a.userData = userdata.New(userdata.Options{Root: root, Commands: a.commands, Console: console})
}

// provision begins an instance's user data, or attaches to it, and sends the outcome when there is one. The call's
// end does not affect the user data.
func (a *Agent) provision(call *link.Call) {
	if a.userData == nil {
		call.Fail(link.CodeUnsupported, "this guest carries out no user data")
		return
	}
	var arguments struct {
		Instance  string `json:"instance"`
		PlanBytes int    `json:"plan_bytes"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	switch {
	case !isCommandID(arguments.Instance):
		call.Fail(link.CodeInvalid, "instance must be 1 to 64 letters, digits, hyphens and underscores")
		return
	case arguments.PlanBytes < 1 || arguments.PlanBytes > planBytesMax:
		call.Fail(link.CodeInvalid, fmt.Sprintf("plan_bytes must be between 1 and %d", planBytesMax))
		return
	}
	plan, err := readPlan(call, arguments.PlanBytes)
	if err != nil {
		call.Fail(link.CodeInvalid, err.Error())
		return
	}
	run, err := a.userData.Begin(arguments.Instance, plan)
	if err == userdata.ErrBusy {
		call.Fail(link.CodeConflict, err.Error())
		return
	}
	if call.Succeed(nil) != nil {
		return
	}
	if err != nil {
		// An outcome, because asking again would not help.
		sendProvisioned(call, err.Error())
		return
	}
	select {
	case <-run.Done():
		sendProvisioned(call, run.Failure())
	case <-call.Ended():
	}
}

func readPlan(call *link.Call, bytes int) (*userdata.Plan, error) {
	content := make([]byte, bytes)
	call.SetReadDeadline(time.Now().Add(specWait))
	defer call.SetReadDeadline(time.Time{})
	if _, err := io.ReadFull(call, content); err != nil {
		return nil, fmt.Errorf("the user data did not arrive: %w", err)
	}
	return userdata.Parse(content)
}

func sendProvisioned(call *link.Call, failure string) {
	outcome := map[string]string{"outcome": "succeeded"}
	if failure != "" {
		outcome = map[string]string{"outcome": "failed", "message": failure}
	}
	if payload, err := json.Marshal(outcome); err == nil {
		_, _ = call.Write(append(payload, '\n'))
	}
}
