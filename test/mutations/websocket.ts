/** Faults of the WebSocket for commands, on both ends. */
import type { Mutation } from './mutation.ts';

const room = 'src/http/dialects/machines/execs/socket';
const socketTest = `${room}/exec-socket.test.ts`;
const gateTest = `${room}/socket-gate.test.ts`;
const terminalTest = 'sdk/src/terminal.test.ts';

export const websocketMutations: readonly Mutation[] = [
  {
    fault: 'output goes on without acknowledgements',
    guarantee: 'G51',
    file: `${room}/send-window.ts`,
    from: 'return windowBytes - (this.#sent - this.#acknowledged);',
    to: 'return windowBytes;',
    caughtBy: { file: socketTest, test: 'a client that does not acknowledge gets one window' },
  },
  {
    fault: 'the window of standard input has no end',
    guarantee: 'G51',
    file: `${room}/input.ts`,
    from: 'if (data.length > this.#window.room)',
    to: 'if (data.length < 0)',
    caughtBy: { file: socketTest, test: 'a client that exceeds the window of standard input' },
  },
  {
    fault: 'input is acknowledged before the command has taken it',
    guarantee: 'G51',
    file: `${room}/input.ts`,
    from: 'if (!this.#isClosed) await this.#pass(data);',
    to: 'if (!this.#isClosed) void this.#pass(data);',
    caughtBy: { file: socketTest, test: 'a client that exceeds the window of standard input' },
  },
  {
    fault: 'a WebSocket outlives its key',
    guarantee: 'G51',
    file: `${room}/exec-socket.ts`,
    from: "else session.signal.addEventListener('abort', onAbort, { once: true });",
    to: '',
    caughtBy: { file: gateTest, test: 'when its key is revoked' },
  },
  {
    fault: 'pages of any origin open WebSockets',
    guarantee: 'G12',
    file: 'src/http/websocket.ts',
    from: "if (!isOwnOrigin(origin, host) && !origins.has(origin ?? ''))",
    to: 'if (origins === undefined)',
    caughtBy: { file: gateTest, test: '403 with a key that may not run commands' },
  },
  {
    fault: 'the key that a page offers is selected and told back',
    guarantee: 'G19',
    file: 'src/http/websocket.ts',
    from: 'find((each) => !each.startsWith(keyProtocolPrefix)) ?? false',
    to: 'at(-1) ?? false',
    caughtBy: { file: gateTest, test: 'a key is accepted as a subprotocol, which is never selected' },
  },
  {
    fault: 'a daemon that ends waits for its WebSockets',
    guarantee: 'G51',
    file: 'src/http/server.ts',
    from: 'for (const upgrade of openUpgrades) upgrade.drain();',
    to: '',
    caughtBy: { file: gateTest, test: 'when the daemon shuts down' },
  },
  {
    fault: 'vanished clients keep their WebSockets',
    guarantee: 'G51',
    file: `${room}/exec-socket.ts`,
    from: 'this.#pings += 1;',
    to: '',
    caughtBy: { file: gateTest, test: 'when the client has vanished' },
  },
  {
    fault: 'input that was taken is sent again after a lost connection',
    guarantee: 'G51',
    file: 'sdk/src/terminal-input.ts',
    from: 'this.#take(taken - this.#taken);',
    to: '',
    caughtBy: { file: terminalTest, test: 'input whose acknowledgement was lost is not sent again' },
  },
  {
    fault: 'a terminal comes back at the beginning of its output',
    guarantee: 'G51',
    file: 'sdk/src/terminal.ts',
    from: "message = { type: 'attach', id: this.#id, from: this.#cursor };",
    to: "message = { type: 'attach', id: this.#id, from: 0 };",
    caughtBy: { file: terminalTest, test: 'without a byte of output or input missing or doubled' },
  },
  {
    fault: 'the first output of a fast command is dropped before its reader comes',
    guarantee: 'G8',
    file: 'guest-agent/internal/commands/registry.go',
    from: 'if request.Held {',
    to: 'if request.Held && false {',
    caughtBy: { go: 'internal/calls', test: 'TestHeldOutputIsKeptForItsFirstReader' },
  },
  {
    fault: 'input that waits in the guest is sent again',
    guarantee: 'G51',
    file: 'guest-agent/internal/commands/command.go',
    from: '\tc.stdinMu.Lock()\n\tc.fed += int64(len(data))\n\tc.stdinMu.Unlock()\n',
    to: '\tdefer func() { c.fed += int64(len(data)) }()\n',
    caughtBy: { go: 'internal/calls', test: 'TestInputThatWaitsIsCounted' },
  },
];
