/**
 * The guest link's protocol, version 1: what the host (this room) and the guest agent (`guest-agent/internal/link`) say
 * to each other. Golden frames for both ends are in `test/fixtures/frames/`.
 *
 * 1. PREAMBLE. The carrier is a byte pipe that may hold stale bytes from an earlier session (a virtio port knows no
 *    connections). On each connection the host sends `token` (32 bytes, secret to this incarnation) and `nonce`
 *    (16 random bytes), 48 bytes in one write, and discards what it reads until it has read `ack` ‖ `nonce`, where
 *    `ack` = SHA-256(token ‖ "ack"). The guest takes the first token it ever sees as its own (the host is the first to
 *    speak after boot) and looks for a token only at the start of a read of at least 4096 bytes' capacity: a new
 *    connection always begins a new buffer. On seeing it, it ends the old session, answers `ack` ‖ `nonce`, and
 *    serves a new yamux session. A token that is not its own is not answered.
 *
 * 2. SESSION. yamux, HashiCorp's specification, version 0. The host is the client (odd stream ids), the guest the
 *    server. Initial window 256 KiB a stream; the host may announce more by window updates. Keepalive is off in the
 *    guest; the host pings. Neither side resets a stream in mid-call by yamux alone: a call ends by its own frames,
 *    and the RST flag only says that nobody listens any more.
 *
 * 3. CALL. Each stream is one call. The opener writes one line of JSON, at most 64 KiB with its `\n`:
 *    `{"call":NAME, …arguments}`. The other side answers one line of JSON, at most 64 KiB:
 *    `{"ok":true, …results}` or `{"ok":false,"code":CODE,"message":TEXT}` with CODE one of `invalid`, `unsupported`,
 *    `internal`. Then the call's own framing, if it has any; then both sides close.
 *
 *    host → guest
 *    hello     {}                                → {agent_version, protocol_version, kernel_release, incarnation|null}
 *    identify  {incarnation, hostname, machine_id, time_ns: string, entropy: base64 of 64 bytes} → {}
 *    exec      {argv, env: {..}, cwd?, user?, timeout_ms, has_stdin: bool} → {pid}, then frames (4)
 *    shutdown  {mode: "poweroff"|"reboot"|"halt"} → {}; the guest then announces, syncs and acts
 *
 *    guest → host
 *    announce  {event: "poweroff"|"reboot"|"halt"} → {}. Sent before acting; the guest waits for the answer for at
 *              most 500 ms.
 *
 * 4. EXEC FRAMES. type (1 byte) ‖ length (4 bytes, big endian, at most 65536) ‖ payload.
 *    guest → host: 1 stdout, 2 stderr (never empty), 3 outcome (JSON, last frame)
 *    host → guest: 16 stdin (empty payload: end of stdin), 17 signal (name without SIG, `TERM`)
 *    outcome: {"outcome":"exited","exit_code":N} | {"outcome":"signalled","signal":"KILL"} | {"outcome":"timed_out"}
 *    A program that cannot be found or run is {"outcome":"exited","exit_code":127 or 126} with the reason on stderr.
 *    The outcome is sent when the process itself has ended and what it had written by then has been sent; a grandchild
 *    that keeps a pipe open delays nothing. When the host ends or resets the stream before the outcome, the guest kills
 *    the process group, whatever of the stream it has not read yet. A signal frame stands in line behind standard input
 *    that the process has not taken; ending the stream does not.
 */
export const protocolVersion = 1;

export const tokenBytes = 32;
export const nonceBytes = 16;
export const lineBytesMax = 65_536;
export const framePayloadBytesMax = 65_536;

export const frameTypes = {
  stdout: 1,
  stderr: 2,
  outcome: 3,
  stdin: 16,
  signal: 17,
} as const;
