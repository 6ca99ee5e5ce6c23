/** Drives a machine with the client that @hey-api/openapi-ts made. Arguments: the API's URL and a key. */

import {
  createKey,
  createMachine,
  deleteMachine,
  execInMachine,
  getHealth,
  getMachineConsole,
  listMachines,
  startMachine,
  uploadImage,
  waitForMachine,
} from './client';
import { client } from './client/client.gen';

async function main(baseUrl: string, key: string): Promise<void> {
  const throwOnError = true as const;
  client.setConfig({ baseUrl, auth: key });
  const health = await getHealth({ throwOnError });
  if (health.data.status !== 'healthy') throw new Error('not healthy');
  const made = await createKey({ body: { name: 'ts', scopes: ['*'] }, throwOnError });
  client.setConfig({ baseUrl, auth: made.data.key });

  const labels = { 'made-by': 'typescript' };
  const body = { name: 'generated-ts', vcpu_count: 1, mem_size_mib: 128, image: 'busybox', labels };
  const machine = await createMachine({ body, throwOnError });
  const path = { id: machine.data.id };
  await startMachine({ path, query: { idempotent: true }, throwOnError });
  const waited = await waitForMachine({ path, query: { status: 'running', timeout: 5 }, throwOnError });
  if (waited.data.status !== 'running') throw new Error(`it is ${waited.data.status}`);

  const ran = await execInMachine({ path, body: { command: ['uname', '-r'] }, throwOnError });
  if (!('exit_code' in ran.data) || !('stdout' in ran.data)) throw new Error('an answer of another kind');
  const console_ = await getMachineConsole({ path, query: { lines: 5, follow: false }, throwOnError });
  if (typeof console_.data !== 'string') throw new Error('the console is no text');

  const page = await listMachines({ query: { label: ['made-by=typescript'], limit: 10 }, throwOnError });
  if (page.data.machines.map(({ id }) => id).join() !== path.id) throw new Error('another list');
  await deleteMachine({ path, query: { force: true }, throwOnError });

  const archive = new Blob(['an archive']);
  await uploadImage({ path: { name: 'generated-ts' }, body: archive, throwOnError });
  process.stdout.write(String(ran.data.stdout));
}

const [url = '', key = ''] = process.argv.slice(2);
main(url, key).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
