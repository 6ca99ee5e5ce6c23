// Command guest-frames is what a hostile root of a guest may run: tests put it into guests. It sends frames as they are
// given, once or until it is killed, and begins many flows.
//
//	guest-frames once INTERFACE FRAME...      each frame in hexadecimal digits
//	guest-frames forever INTERFACE FRAME...
//	guest-frames flows ADDRESS FIRST LAST     a datagram to each port from FIRST to LAST
//
// As process 1 it begins to send what /frames names, an interface and frames, and becomes the program /agent: so a
// guest sends before anything else of it runs.
package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Fast enough to be in every gap, slow enough to leave the processor to others.
const pause = 2 * time.Millisecond

func main() {
	if os.Getpid() == 1 {
		becomeAgent()
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guest-frames:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 3 {
		return errors.New("too few arguments")
	}
	switch arguments[0] {
	case "early":
		return sendEarly(arguments[1], arguments[2:])
	case "once":
		return send(arguments[1], arguments[2:], false)
	case "forever":
		return send(arguments[1], arguments[2:], true)
	case "flows":
		if len(arguments) != 4 {
			return errors.New("flows needs an address and two ports")
		}
		return beginFlows(arguments[1], arguments[2], arguments[3])
	}
	return fmt.Errorf("unknown: %s", arguments[0])
}

// becomeAgent returns only by ending the guest.
func becomeAgent() {
	words, err := os.ReadFile("/frames")
	if err == nil {
		arguments := append([]string{os.Args[0], "early"}, strings.Fields(string(words))...)
		_, err = os.StartProcess("/init", arguments, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	}
	if err == nil {
		err = syscall.Exec("/agent", os.Args, os.Environ())
	}
	fmt.Fprintln(os.Stderr, "guest-frames:", err)
	os.Exit(1)
}

// sendEarly sends from the moment in which the interface is there, which it brings up itself, without an end.
func sendEarly(name string, texts []string) error {
	for {
		if _, err := net.InterfaceByName(name); err == nil {
			break
		}
		time.Sleep(pause / 2)
	}
	if err := raise(name); err != nil {
		return err
	}
	if err := send(name, texts, false); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "guest-frames: the first frames are sent")
	return send(name, texts, true)
}

// raise sets IFF_UP.
func raise(name string) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request [40]byte
	copy(request[:15], name)
	request[16] = syscall.IFF_UP
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("bring %s up: %w", name, errno)
	}
	return nil
}

func send(name string, texts []string, isRepeated bool) error {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	frames := make([][]byte, 0, len(texts))
	for _, text := range texts {
		frame, err := hex.DecodeString(text)
		if err != nil {
			return err
		}
		frames = append(frames, frame)
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	if err != nil {
		return fmt.Errorf("open a packet socket: %w", err)
	}
	for {
		for _, frame := range frames {
			err := syscall.Sendto(fd, frame, 0, &syscall.SockaddrLinklayer{Ifindex: device.Index, Halen: 6})
			// One that sends forever goes on while its interface is down or its queue is full.
			if err != nil && !isRepeated {
				return fmt.Errorf("send %x: %w", frame, err)
			}
		}
		if !isRepeated {
			return nil
		}
		time.Sleep(pause)
	}
}

func beginFlows(address, firstText, lastText string) error {
	first, err := strconv.Atoi(firstText)
	if err != nil {
		return err
	}
	last, err := strconv.Atoi(lastText)
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	target := syscall.SockaddrInet4{}
	copy(target.Addr[:], net.ParseIP(address).To4())
	for port := first; port <= last; port++ {
		target.Port = port
		// A refusal of an earlier datagram is reported here; the next attempt sends.
		for tries := 0; ; tries++ {
			err := syscall.Sendto(fd, []byte("flow"), 0, &target)
			if err == nil {
				break
			}
			if tries == 100 {
				return fmt.Errorf("send to port %d: %w", port, err)
			}
		}
	}
	return nil
}
