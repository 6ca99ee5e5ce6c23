/** A fake of the port for commands with a log. */
import type { GuestTarget } from '../ports/guest.ts';
import type { GuestLogged, LoggedCommand, LoggedEvent, LoggedRequest } from '../ports/guest-logged.ts';

/** Commands that yield what they are told to. */
export class FakeLogged implements GuestLogged {
  pid = 7;
  logPath = '/tmp/log';
  /** What a command yields, unless it is detached. */
  events: readonly LoggedEvent[] = [
    { type: 'end', end: { outcome: 'exited', exitCode: 0, log: 'removed', isFull: false } },
  ];
  /** Called before a command is started; reject to refuse it. */
  onStart: (request: LoggedRequest) => Promise<void> = async () => undefined;
  /** Whether a command ends only when it is let go. */
  isEndless = false;

  async start(_target: GuestTarget, request: LoggedRequest): Promise<LoggedCommand> {
    await this.onStart(request);
    const { pid, logPath, isEndless } = this;
    const events = request.isDetached ? [] : this.events;
    const { promise: released, resolve: letGo } = Promise.withResolvers<void>();
    return {
      ...{ pid, logPath, letGo },
      async *[Symbol.asyncIterator]() {
        if (isEndless) await released;
        yield* events;
      },
    };
  }
}
