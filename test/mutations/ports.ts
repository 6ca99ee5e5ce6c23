/** Faults of connections to programs in machines. */
import type { Mutation } from './mutation.ts';

const socket = 'src/http/dialects/machines/ports/port-socket.ts';
const socketTest = 'src/http/dialects/machines/ports/port-socket.test.ts';

export const portMutations: readonly Mutation[] = [
  {
    fault: 'a connection that is lost looks like one that has ended',
    guarantee: 'G52',
    file: socket,
    from: "connection.on('close', () => this.#fail(connection.errored ?? lost()));",
    to: "connection.on('close', () => this.#close(1000, ''));",
    caughtBy: { file: socketTest, test: 'a connection that is lost is an error, not an end' },
  },
  {
    fault: 'what a client does not read of a program piles up in the daemon',
    guarantee: 'G52',
    file: socket,
    from: 'if (this.#socket.bufferedAmount > queuedBytesMax) this.#connection.pause();',
    to: '',
    caughtBy: { file: socketTest, test: 'a client that does not read stops the program' },
  },
  {
    fault: 'a connection in the guest outlives its client',
    guarantee: 'G52',
    // A client that leaves ends its session, whose signal ends the connection.
    file: 'src/guest/connections.ts',
    from: "signal.addEventListener('abort', onAbort, { once: true });",
    to: '',
    caughtBy: { file: 'src/guest/connections.test.ts', test: 'leaving ends the program' },
  },
  {
    fault: 'connections that have ended count on',
    guarantee: 'G52',
    file: 'src/core/connections/service.ts',
    from: 'finished(connection, free);',
    to: '',
    caughtBy: { file: socketTest, test: 'at most 128 connections to a machine' },
  },
  {
    fault: 'a program’s end ends both directions',
    guarantee: 'G52',
    file: socket,
    from: 'if (!this.#isOver) this.#socket.send(end);\n    this.#closeIfWhole();',
    to: "this.#close(1000, '');",
    caughtBy: { file: socketTest, test: 'a program may end first, and still read' },
  },
];
