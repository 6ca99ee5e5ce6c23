package link

import (
	"encoding/json"
	"errors"
	"time"

	"guest-agent/internal/guard"
)

// Announce notifies the host of an event and waits for its answer, at most for wait. It fails if there is no
// host or the host does not answer.
func (s *Server) Announce(event string, wait time.Duration) error {
	done := make(chan error, 1)
	guard.Go("announce", s.log, func() { done <- s.announce(event, time.Now().Add(wait)) })
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errors.New("the host did not accept the announcement in time")
	}
}

func (s *Server) announce(event string, deadline time.Time) error {
	s.mu.Lock()
	session := s.current
	s.mu.Unlock()
	if session == nil {
		return errors.New("no host is connected")
	}
	stream, err := session.OpenStream()
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := stream.SetDeadline(deadline); err != nil {
		return err
	}
	line, err := json.Marshal(map[string]string{"call": "announce", "event": event})
	if err != nil {
		return err
	}
	if _, err := stream.Write(append(line, '\n')); err != nil {
		return err
	}
	answer, err := newLineReader(stream).line()
	if err != nil {
		return err
	}
	var result struct {
		OK      bool   `json:"ok"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(answer, &result); err != nil {
		return err
	}
	if !result.OK {
		return errors.New("the host refused the announcement: " + result.Message)
	}
	return nil
}
