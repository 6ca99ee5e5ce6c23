/**
 * The guest link's protocol, version 2, and what differs in version 1: what the host (this room) and the guest agent (`guest-agent/internal/link`) say
 * to each other. Golden frames for both ends are in `test/fixtures/frames/`.
 *
 * 1. PREAMBLE. The carrier is a byte pipe that may hold stale bytes from an earlier session (a virtio port knows no
 *    connections). On each connection the host sends `token` (32 bytes, secret to this incarnation) and `nonce`
 *    (16 random bytes), 48 bytes in one write, and discards what it reads until it has read `ack` ‖ `nonce`, where
 *    `ack` = SHA-256(token ‖ "ack"). The guest takes the first token it ever sees as its own (the host is the first to
 *    speak after boot) and looks for a token only at the start of a read of at least 4096 bytes' capacity: a new
 *    connection always begins a new buffer. On seeing it, it ends the old session, answers `ack` ‖ `nonce`, and
 *    serves a new yamux session. A token that is not its own is not answered. A
 *    guest that is a copy of another has that one's token, until `rekey` gives it one of its own; `adopt` then makes it another machine.
 *
 * 2. SESSION. yamux, HashiCorp's specification, version 0. The host is the client (odd stream ids), the guest the
 *    server. Initial window 256 KiB a stream; the host may announce more by window updates. Keepalive is off in the
 *    guest; the host pings. Neither side resets a stream in mid-call by yamux alone: a call ends by its own frames,
 *    and the RST flag only says that nobody listens any more.
 *
 * 3. CALL. Each stream is one call. The opener writes one line of JSON, at most 64 KiB with its `\n`:
 *    `{"call":NAME, …arguments}`. The other side answers one line of JSON, at most 64 KiB:
 *    `{"ok":true, …results}` or `{"ok":false,"code":CODE,"message":TEXT}` with CODE one of `invalid`, `unsupported`,
 *    `not_found`, `conflict`, `exhausted`, `internal`. Then the call's own framing, if it has any; then both sides close.
 *    Arguments and results that are not known are ignored.
 *
 *    host → guest
 *    hello     {}                                   → {agent_version, protocol_version, protocol_version_min, features,
 *                                                      kernel_release, incarnation|null}
 *    identity  {incarnation, hostname, machine_id}  → {}
 *    resync    {time_ns: string, entropy: base64 of 64 bytes} → {}
 *    network   {mac, addresses: [{address, prefix}], gateways: [ADDRESS], resolvers: [ADDRESS], search_domains} → {}; for the
 *               interface with that hardware address, `not_found` without one. Gateways are on the link. Addresses that are
 *               not named are removed; without resolvers the guest keeps its own. May be repeated. With `dhcp: true`, which needs the
 *               feature of that name, a DHCP server says all of that from now on; repeated, the lease is confirmed at once
 *    lease     {known, timeout_ms} → {change, lease: {address, prefix, gateway|null, resolvers, server, left_ms}|null,
 *               problem|null}: what the DHCP client has, as soon as `change` is not `known`, or when the time has passed
 *    ssh_keys  {keys: [LINE]} → {}; root's authorized_keys has these lines, each with a mark at its end, and no others with the mark
 *    rekey     {token: base64 of 32 bytes, incarnation} → {}; later sessions need the new token, this one goes on
 *    adopt     {incarnation, hostname, machine_id, instance: ID, mac|null, time_ns, entropy} → {warnings: [TEXT]}; makes a copy
 *               of a running guest another machine's, after `rekey`; see 6. `mac` is that of its interface from now on, which is down
 *               until `network`; null: it has no network. `instance` is as of `provision`. Idempotent. The guest answers
 *               within 30 s; what it could not change is in the warnings
 *    start     {command: ID, argc, spec_bytes, cwd?, user?, timeout_ms, has_stdin, terminal?: {rows, columns}, owned,
 *               buffer_bytes?, held?} and `spec_bytes` of arguments and NAME=VALUE, each ended by a NUL byte, the first `argc` of
 *               them arguments → {pid}; unless it is `owned`, frames follow (4). A program that cannot be run refuses an owned
 *               command as `invalid`, with the `exit_code*` (126, 127) that a shell would give
 *    start_logged {command: ID, argc, spec_bytes, cwd?, user?, log_name, log_directories, output_bytes_max, detached} and
 *               `spec_bytes` as of `start` → {pid, log: PATH}; both outputs go to a new file of that name, in the first of
 *               the directories that takes it. Unless it is `detached`, frames follow (4)
 *    attach    {command, offset}                    → {pid, stdin_offset, first_offset*, next_offset*, stdout_offset*,
 *               stderr_offset*}, then frames (4). The output from `first_offset` to `next_offset` is kept; so many bytes of
 *               each stream came before the first byte that follows
 *    wait*     {command}                            → {}, then the frame of the outcome (4), without output
 *    stdin     {command}                            → {stdin_offset}, then frames (4) of the host only
 *    signal    {command, signal: name without SIG}  → {}; to the process group. `conflict` when it has ended*
 *    resize    {command, rows, columns}             → {}
 *    list      {}                                   → {commands: [{command, program, words*, argc*, pid, terminal*,
 *                                                      started_ms, ended_ms*|null, first_offset, next_offset,
 *                                                      stdout_bytes*, stderr_bytes*, outcome|null}]}; `words` are the
 *                                                      first ones of `argc` arguments
 *    forget    {command}                            → {}; ends it, with all that it started, if it still runs
 *    provision {instance: ID, plan_bytes} and `plan_bytes` of JSON: {ssh_authorized_keys, users: [{name, gecos, groups, sudo,
 *               shell, home, ssh_authorized_keys}], write_files: [{path, content: base64, owner, permissions, append}],
 *               packages, commands: [argv], scripts} → {}, and when all of it was carried out another line of JSON:
 *               {"outcome":"succeeded"} | {"outcome":"failed","message":TEXT}. Once for each instance, which the guest
 *               remembers across boots: a repeated call waits for the first one's outcome, or gets it
 *    connect   {port, timeout_ms?}              → {}, then frames of data (5) in both directions: a TCP connection to the guest's
 *               own address. The host's end of data ends that direction only; the guest's last frame says that the program has
 *               ended its output, or has broken the connection. `conflict` when nothing listens. Ends with the stream
 *    file_stat {path, follow?}                  → {entry}
 *    file_read {path, offset?, length?}         → {entry, length|-1}, then frames of data (5)
 *    file_write {path, parents?, mode?, owner?, modified_ns?} → {}, then the host's data; the last frame has {entry}
 *    file_list {path, after?, limit}            → {}, then data: a line of JSON for each entry, by name; {has_more}
 *    file_mkdir {path, parents?, mode?, owner?} → {entry}
 *    file_move {from, to, replace?}             → {entry}
 *    file_remove {path, recursive?}             → {}
 *    file_pack {path, name}                     → {entry}, then data: a tar archive
 *    file_unpack {path, owner?, parents?}       → {}, then the host's data: a tar archive; {count}
 *    file_watch {path, recursive?}              → {}, then data: a line of JSON for each change; the last frame comes when
 *                                                 the path is gone. The call lasts until the host ends it
 *               Paths are absolute, `mode` is a number, `owner` is USER or USER:GROUP. An entry is {name, name_base64?, type,
 *               size, mode, uid, gid, owner?, group?, modified_ns, version, target?}
 *    shutdown  {mode: "poweroff"|"reboot"|"halt", grace_ms?} → {}; the guest then announces, lets processes end for the
 *              grace, kills the others, syncs and acts
 *
 *    guest → host
 *    announce  {event: "poweroff"|"reboot"|"halt"} → {}. Sent before acting; the guest waits for the answer for at
 *              most 500 ms.
 *
 *    Agents before the feature `command_wait` have nothing that is marked with *.
 *
 *    VERSIONS. Both ends speak a range; the newest version in common holds, and none in common is an error of every call
 *    but `shutdown`, whose form never changes. `features` names what an agent can do beside its version: `commands`
 *    (owned commands), `command_wait`, `terminal`, `rekey`, `resync`, `user_data`, `files`, `pack_name` (the name of file_pack),
 *    `logged` (start_logged), `connect`, `network`, `ssh_keys`, `dhcp`, `adopt`.
 *
 * 4. FRAMES. type (1 byte) ‖ length (4 bytes, big endian, at most 65536) ‖ payload.
 *    guest → host: 1 stdout, 2 stderr (never empty), 4 lost (8 bytes, big endian: so many bytes are no longer kept),
 *                  3 outcome (JSON, last frame)
 *    host → guest: 16 stdin (empty payload: end of stdin), 18 taken (8 bytes, big endian: an offset)
 *    outcome: {"outcome":"exited","exit_code":N} | {"outcome":"signalled","signal":"KILL"} | {"outcome":"timed_out"}
 *    of start_logged, guest → host: 1 (the beginning of the log, at most `output_bytes_max`), then 3 with more fields: `log`
 *              ("removed", "kept": it has more or the command goes on, "gone": it was needed and the command has removed it)
 *              and `is_full` (its disk takes nothing, so that it may lack output); or {"outcome":"running"} after
 *              host → guest: 21 let go (empty): the guest answers at once, and the command goes on by itself. Before that,
 *              the end of the stream kills the command and removes the log
 *    of files, guest → host: 5 data (never empty), 6 end (JSON as of an answer, last frame)
 *              host → guest: 19 data, 20 end of the data (empty payload). Without it nothing is kept: a file that was not
 *              sent whole is not there. The guest may end the call before it has read everything
 *    The outcome is sent when the process itself has ended and what it had written by then has been sent; a grandchild
 *    that keeps a pipe open delays nothing.
 *
 *    A command that is not owned lives as long as its `start` stream, which carries stdin frames one way and output the
 *    other: when the host ends or resets it before the outcome, the guest kills the command with all that it started,
 *    whatever of the stream it has not read yet. A program that cannot be found or run is
 *    {"outcome":"exited","exit_code":127 or 126} with the reason on stderr.
 *
 *    An owned command outlives streams and sessions. The guest keeps its last output, at least `buffer_bytes`; an offset
 *    counts the bytes of both outputs since it began. `attach` replays from an offset and goes on as output comes. What the
 *    host has not said to have `taken` is kept while it is attached: the command waits. With nobody attached the oldest
 *    bytes make room; those of a command that was started as `held` not before its first `attach`, or half a minute.
 *    `stdin_offset` counts the input that the command has read or will read. Ended commands are kept until they are forgotten, or the place of the oldest is needed: of those that the
 *    host has attached to, waited for or seen ended in a list, or that ended ten seconds ago.
 *
 * 5. VERSION 1 has the calls hello, identify, exec, shutdown and announce only, and no ranges and features.
 *    identify  {incarnation, hostname, machine_id, time_ns, entropy} → {}
 *    exec      {argv, env: {..}, cwd?, user?, timeout_ms, has_stdin: bool} → {pid}, then frames as of a command that is not
 *              owned, and host → guest: 17 signal (name without SIG), in line behind standard input
 *
 * 6. COPIES. What `adopt` changes, in this order:
 *    - The kernel's random numbers: 64 bytes of the host are credited, and its generator is reseeded. Programs that ask the kernel
 *      each time (getrandom, /dev/urandom, also by the vDSO) get numbers of their own from then on. The clock is set.
 *    - The interface: the first with the driver virtio_net. It is set down, which removes its routes and neighbours; its
 *      addresses go, and last its hardware address is changed. The DHCP client forgets its lease and asks anew with `network`. Interfaces
 *      that users have made (bridges, veth, WireGuard) stay as they are. TCP connections of the original are not ended:
 *      their address is gone, so that they time out. The agent's own calls and commands go on.
 *    - Host name, /etc/hostname, the line of 127.0.1.1 in /etc/hosts, /etc/machine-id, and its copies of systemd and D-Bus where
 *      they are files.
 *    - The record of user data becomes this instance's, so that it is not carried out again; what is under way goes on.
 *    - Lines of root's authorized_keys that were placed by `ssh_keys` go; `ssh_keys` places those of this machine.
 *    - SSH host keys (/etc/ssh/ssh_host_*_key): all are removed, then made again in the same kinds, and the listening sshd is told by
 *      SIGHUP; its connections go on. RSA takes seconds: the guest answers before these keys are made, and sshd is told again after it.
 *    What stays equal in the original and its copies, because nothing outside of a program can change it:
 *    - Random generators inside running programs (OpenSSL until it reseeds, those of language runtimes, UUIDs and nonces drawn in
 *      advance), and secrets that programs hold or have on the disk: session keys, TLS keys, API tokens, dropbear's host keys, and
 *      authorized keys of user data.
 *    - /proc/sys/kernel/random/boot_id. The kernel makes it once for each boot. It is not covered by a mount: programs compare it with
 *      what they have recorded (journald, D-Bus, databases with lock files) to learn whether the kernel was booted since, and it was not;
 *      a mount would be missing in every container and mount namespace that is there already, so that programs of one guest would disagree.
 *    - The machine's hardware as the kernel has seen it at its boot: DMI serial numbers and the UUID, the MAC in the logs.
 */
export const protocolVersion = 2;
export const protocolVersionMin = 1;

/** The kernel's limit on one argument or NAME=VALUE, without the NUL byte that ends it: MAX_ARG_STRLEN is 32 pages. */
export const wordBytesMax = 131_071;
/** The kernel takes no more arguments and environment than this, whatever its limits are. */
export const specBytesMax = 6 * 1024 * 1024;
export const tokenBytes = 32;
export const nonceBytes = 16;
export const lineBytesMax = 65_536;
export const framePayloadBytesMax = 65_536;

export const frameTypes = {
  stdout: 1,
  stderr: 2,
  outcome: 3,
  lost: 4,
  data: 5,
  end: 6,
  stdin: 16,
  /** Version 1 only. */
  signal: 17,
  taken: 18,
  letGo: 21,
  upload: 19,
  uploadEnd: 20,
} as const;
