/** Calls made by the guest. There is only one: it announces a shutdown or reboot. */
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
 * Serves one stream that the guest opened: calls `onAnnouncement` before it acknowledges. Never rejects; the
 * stream is reset if no complete line arrives within `callMs`.
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
