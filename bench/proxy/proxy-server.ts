/**
 * The reverse proxy of `bench proxy`: the real one, with the real store and one running machine in it, whose port is a port
 * of this host in place of a guest's. Runs as a separate program: `proxy-server.ts DIRECTORY HOST PORT`. Prints its
 * address with the machine's path, and exits on SIGTERM.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { EventBus } from '../../src/core/events/bus.ts';
import { Activity } from '../../src/core/machines/activity.ts';
import { Waking } from '../../src/core/machines/waking.ts';
import { Reach } from '../../src/core/routes/reach.ts';
import { silentLog } from '../../src/lib/log.ts';
import { passedOn } from '../../src/lib/passing-buffers.ts';
import { systemClock } from '../../src/main/clock.ts';
import { ReverseProxy } from '../../src/proxy/reverse-proxy.ts';
import { listenAsProxy } from '../../src/proxy/server.ts';
import { StateLayout } from '../../src/storage/layout.ts';
import { openSqliteStore } from '../../src/store/store.ts';
import { runningMachine } from '../recorded-machines.ts';

const [directory = '', host = '', port = ''] = process.argv.slice(2);
const store = await openSqliteStore(new StateLayout(directory).database);
const machine = runningMachine([80]);
await store.machines.insert(machine);
const unused = () => Promise.reject(new Error('the machine runs already'));
const waking = new Waking({
  store,
  bus: await EventBus.open({ store, log: silentLog }),
  activity: new Activity(systemClock(silentLog)),
  machines: { start: unused, resume: unused },
  machineOperations: { requireHere: () => undefined },
});
const proxy = new ReverseProxy({
  reach: new Reach({ store, waking, connections: { connectTo: unused } }),
  rules: { prefix: '/proxy', suffixes: [] },
  wakeTimeoutMs: 60_000,
  log: silentLog,
  connect: async () => {
    const socket = connect({ host, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    // As a guest's link does with what it reads.
    socket.on('data', ({ length }) => passedOn(length));
    return socket;
  },
});
const server = await listenAsProxy(proxy, { host: '127.0.0.1', port: 0 });
process.once('SIGTERM', () => process.exit(0));
process.stdout.write(`http://${server.host}:${server.port}/proxy/${machine.id}/80\n`);
