/**
 * The program of the writer thread: commits wait for the disk here and block nothing else. It holds the only
 * writing connection and executes requests (sqlite-protocol.ts). It imports almost nothing, because a
 * thread's modules use extra memory.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { failureOf, SqliteConnection } from './sqlite-connection.ts';
import { type Answer, openingId, type RequestMessage, type WorkerOptions } from './sqlite-protocol.ts';

const port = parentPort;
if (port === null) throw new Error('this program must run as a worker thread');
try {
  const connection = new SqliteConnection(workerData as WorkerOptions);
  port.postMessage({ id: openingId, rows: [], changes: null } satisfies Answer);
  port.on('message', ({ id, request }: RequestMessage) => {
    port.postMessage(connection.answer(id, request));
    if (request.kind === 'close') port.close();
  });
} catch (error) {
  port.postMessage({ id: openingId, failure: failureOf(error) } satisfies Answer);
  port.close();
}
