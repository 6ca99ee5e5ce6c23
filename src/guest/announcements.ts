/** Calls of the guest. There is one: it announces what it is about to do. */
import { z } from 'zod';
import { AppError, isAppError } from '../core/errors.ts';
import type { GuestAnnouncement } from '../core/ports/guest.ts';
import { encodeLine, parseLine, readLine } from './lines.ts';
import type { YamuxStream } from './yamux/stream.ts';

const announceSchema = z.object({
  call: z.literal('announce'),
  event: z.enum(['poweroff', 'reboot', 'halt']),
});

/**
 * Serves one stream that the guest opened: calls `onAnnouncement` before the guest hears that it was heard. Never
 * rejects; a guest that sends no whole line within `callMs` is reset.
 */
export async function serveGuestCall(
  stream: YamuxStream,
  callMs: number,
  onAnnouncement: (announcement: GuestAnnouncement) => void,
): Promise<void> {
  const timer = setTimeout(() => stream.reset(new AppError('timeout', 'the guest sent no call')), callMs);
  try {
    const { line } = await readLine(stream);
    const call = announceSchema.safeParse(parseLine(line));
    if (call.success) onAnnouncement(call.data.event);
    await stream.write(encodeLine(call.success ? { ok: true } : refusal));
    stream.close(performance.now());
  } catch (error) {
    stream.reset(
      isAppError(error) ? error : new AppError('guest', 'a call of the guest failed', { cause: error }),
    );
  } finally {
    clearTimeout(timer);
  }
}

const refusal = { ok: false, code: 'unsupported', message: 'the host knows only announce' } as const;
