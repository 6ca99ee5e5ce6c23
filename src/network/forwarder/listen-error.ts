/** What it means when the daemon may not listen on a port of the host. Pure. */
import { AppError } from '../../core/errors.ts';
import { notAnAddress } from '../local-addresses.ts';

/** Other errors stay as they are. `hostPort` null: any port. */
export function listenError(error: unknown, bind: string, hostPort: number | null): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new AppError('conflict', `a program of the host listens on tcp port ${hostPort}`, {
        cause: error,
        hint: 'Ask for another port, or for none to get a free one.',
      });
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return notAnAddress(bind, error);
    case 'EACCES':
      return new AppError('unsupported', `the daemon may not listen on port ${hostPort} of this host`, {
        cause: error,
        hint: 'Ask for a port from 1024 on; lower ones need a daemon that runs as root.',
      });
    default:
      return error;
  }
}
