/**
 * `flotilla doctor`: reports what works on this host, engine by engine, what is missing and how to get it,
 * and what is inconsistent in the state directory. Needs no daemon and works beside one: it takes no lock,
 * talks to no VMM, and changes nothing there. To test the engines it briefly boots an empty machine in a
 * temporary directory and cgroup.
 */

import type { Machine } from '../core/machines/machine.ts';
import { findForeign } from '../core/reconcile/foreign.ts';
import { findUnknown, planRepairs } from '../core/reconcile/plan.ts';
import { Cgroups } from '../engines/qemu/cgroup.ts';
import { QemuDriver } from '../engines/qemu/driver.ts';
import { sleep } from '../lib/abort.ts';
import { exists } from '../lib/files.ts';
import { childEnvironment, type SetupContext, sourceRootDefault } from '../setup/context.ts';
import { checkArtifacts, readArtifactFacts } from '../setup/doctor/artifacts.ts';
import { checking, type Finding, ok } from '../setup/doctor/finding.ts';
import { checkHost, readHostFacts } from '../setup/doctor/host.ts';
import { checkLeftovers, findLeftovers } from '../setup/doctor/leftovers.ts';
import { checkFiles, checkOwner, readFileFacts } from '../setup/doctor/permissions.ts';
import { makeReport, type Report, renderReport } from '../setup/doctor/report.ts';
import { machineExpectations, stateExpectations, type Users } from '../setup/doctor/state-files.ts';
import { checkBootKit, checkImages } from '../setup/doctor/state-images.ts';
import { QcowDisks } from '../storage/disks/qcow-disks.ts';
import { listQuarantine } from '../storage/disks/quarantine.ts';
import { RecordFiles } from '../storage/disks/records.ts';
import { findLaunchShim } from '../storage/go-programs.ts';
import { CacheLayout, StateLayout } from '../storage/layout.ts';
import type { Config } from './config.ts';
import { checkCertificates } from './doctor/certificates.ts';
import { checkDaemon, readDaemonFacts } from './doctor/daemon.ts';
import { checkEngine, checkLimits } from './doctor/engines.ts';
import { checkHatchVariables } from './doctor/hatch.ts';
import { checkIdentity, checkQuarantine } from './doctor/identity.ts';
import {
  checkDisks,
  checkForeign,
  checkOperations,
  checkRepairs,
  checkStrangers,
  recordedMachine,
  summarise,
} from './doctor/machines.ts';
import { checkNetwork, checkNetworkRecords } from './doctor/network.ts';
import { observeQuietly } from './doctor/observed.ts';
import { type Records, withRecords } from './doctor/records.ts';
import { checkSsh } from './doctor/ssh.ts';
import { checkSshPorts, readListeners } from './doctor/ssh-ports.ts';
import { readHostId } from './host-id.ts';
import { readIdentityFacts } from './identity.ts';

/**
 * A running daemon handles changes within milliseconds; an inconsistency seen twice this far apart is real.
 */
const confirmMs = 1_500;

/** Limit in case a file system hangs. */
const lookTimeoutMs = 15_000;

export interface DoctorOptions {
  readonly isJson: boolean;
  /** Also reads images and boot kits completely and compares their digests. */
  readonly isDeep: boolean;
}

/** Prints the report; returns the exit code. */
export async function doctor(
  config: Config,
  env: NodeJS.ProcessEnv,
  { isJson, isDeep }: DoctorOptions,
): Promise<number> {
  const report = await examine(config, env, isDeep, new AbortController().signal);
  const text = isJson ? `${JSON.stringify(report)}\n` : renderReport(report, process.stdout);
  const { promise, resolve } = Promise.withResolvers<void>();
  process.stdout.write(text, () => resolve());
  await promise;
  return report.ok ? 0 : 1;
}

/** Runs all checks. A failing check becomes a finding. */
export async function examine(
  config: Config,
  env: NodeJS.ProcessEnv,
  isDeep: boolean,
  signal: AbortSignal,
): Promise<Report> {
  const layout = new StateLayout(config.stateDir);
  const cache = new CacheLayout(config.cacheDir);
  const context: SetupContext = {
    cache,
    env: childEnvironment(env),
    sourceRoot: sourceRootDefault,
    signal,
  };
  const driver = new QemuDriver({
    layout,
    uidBase: config.uidBase,
    shim: await findLaunchShim(cache),
  });
  const check = (subject: string, work: () => Promise<readonly Finding[]>) => checking(subject, signal, work);
  try {
    let isDaemonRunning = false;
    let daemonPid: number | null = null;
    const daemon = await check('daemon', async () => {
      const facts = await readDaemonFacts(config, layout);
      isDaemonRunning = facts.isAlive;
      daemonPid = facts.isAlive ? facts.pid : null;
      return checkDaemon(facts);
    });
    const limitNotes = await new Cgroups().probe();
    const host = [
      ...(await check('host', async () => checkHost(await readHostFacts(context, layout.root)))),
      ...checkLimits(limitNotes),
      ...(await check('network', () => checkNetwork(config, layout, signal))),
      ...(await check('SSH host key', () => checkSsh(config, layout))),
      ...(await check('proxy certificate', () => checkCertificates(config.proxy, layout, new Date()))),
      ...checkHatchVariables(env),
      ...(await check('cache', async () =>
        checkArtifacts(await readArtifactFacts(context, layout.currentBootKit)),
      )),
    ];
    const engines = checkEngine(driver.kind, await driver.probe(signal), limitNotes);
    const state = await check('state directory', () =>
      examineState({ config, layout, cache, driver, isDaemonRunning, daemonPid, isDeep, check, signal }),
    );
    return makeReport({ host, engines, daemon, state });
  } finally {
    await driver.close();
  }
}

interface StateExamination {
  readonly signal: AbortSignal;
  readonly config: Config;
  readonly layout: StateLayout;
  readonly cache: CacheLayout;
  readonly driver: QemuDriver;
  readonly isDaemonRunning: boolean;
  readonly daemonPid: number | null;
  readonly isDeep: boolean;
  readonly check: (subject: string, work: () => Promise<readonly Finding[]>) => Promise<readonly Finding[]>;
}

async function examineState(given: StateExamination): Promise<readonly Finding[]> {
  const { config, layout, cache, isDaemonRunning, isDeep, check } = given;
  const root = await readFileFacts(layout.root);
  if (root === null) return [ok('state directory', `${layout.root} is not there; the first start makes it`)];
  const foreign = checkOwner(layout.root, root.uid, process.geteuid?.() ?? root.uid);
  if (foreign?.level === 'error') return [foreign];
  const users: Users = { daemon: { uid: root.uid, gid: root.gid }, uidBase: config.uidBase };
  const hostId = await readHostId(layout);
  let machines: readonly Machine[] = [];
  const recorded = await check('database', () =>
    withRecords(
      { databaseUrl: config.databaseUrl, path: layout.database, hostId },
      isDaemonRunning,
      async (records, findings) => {
        const found = [...findings, ...(await examineIdentity(given, records))];
        if (records === null) return found;
        machines = await records.machines();
        return [
          ...found,
          ...(await records.damaged()),
          ...(await compare(given, records)),
          ...(await check('network', () => checkNetworkRecords(config, records.machines, given.signal))),
          ...(await check('SSH ports', async () =>
            checkSshPorts(machines, await readListeners(given.daemonPid), config.sshListen.length > 0),
          )),
        ];
      },
    ),
  );
  const known = machines.map(recordedMachine);
  const layouts = { state: layout, cache };
  return [
    ...(foreign ? [foreign] : []),
    ...recorded,
    ...(await check('files', async () => {
      const expected = known.flatMap((machine) => machineExpectations(layout, users, machine));
      const found = await checkFiles([...stateExpectations(layout, users), ...expected]);
      return found.length > 0 ? found : [ok('files', 'modes and owners are right')];
    })),
    ...(await check('images', () => checkImages(layouts, known, isDeep))),
    ...(await check('boot kit', () => checkBootKit(layouts, isDeep))),
    ...(await check('quarantine', async () => checkQuarantine(await listQuarantine(layout)))),
    ...(await check('leftovers', async () =>
      checkLeftovers(await findLeftovers(layout, cache, Date.now()), isDaemonRunning),
    )),
  ];
}

/** Whether the database belongs to the state directory; no finding when it cannot be read. */
async function examineIdentity(
  { config, layout }: StateExamination,
  records: Records | null,
): Promise<readonly Finding[]> {
  const files = new RecordFiles(layout);
  if (records !== null)
    return [checkIdentity(await readIdentityFacts(records.contents, layout, files, false))];
  if (config.databaseUrl !== null || (await exists(layout.database))) return [];
  const finding = checkIdentity(await readIdentityFacts(null, layout, files, false));
  return finding.level === 'ok' ? [] : [finding];
}

/**
 * Compares records with observations. Observes first and reads second, so that a machine made in between is
 * not mistaken for an orphan.
 */
async function compare(given: StateExamination, records: Records): Promise<readonly Finding[]> {
  const { layout, isDaemonRunning, config, driver } = given;
  // Without an id no daemon has run here, so none has started a VMM.
  const hostId = (await readHostId(layout)) ?? '';
  const disks = new QcowDisks({ layout, uidBase: config.uidBase });
  const look = async () => {
    const observed = await observeQuietly(
      { layout, hostId, driver, disks, isDaemonRunning },
      await records.machines(),
    );
    const machines = await records.machines();
    const damaged = await records.damagedMachines();
    const known = new Set([...machines, ...damaged].map(({ id }) => id));
    const foreign = await findForeign(
      new RecordFiles(layout),
      observed.disks ?? [],
      known,
      AbortSignal.timeout(lookTimeoutMs),
    );
    const recorded = [machines, await records.openOperations(), observed, damaged, foreign] as const;
    const there = new Set<string>();
    for (const { id } of machines) if (await readFileFacts(layout.disk(id))) there.add(id);
    const doubtful = [
      ...checkRepairs(planRepairs(...recorded), given),
      ...checkForeign(foreign, given),
      ...checkStrangers(
        findUnknown(...recorded).filter((found) => found.hostId !== hostId),
        given,
      ),
      ...checkDisks(machines, (id) => there.has(id), given),
    ];
    return { summary: summarise(machines, observed), doubtful, machines };
  };
  const first = await look();
  const operations = checkOperations(first.machines, await records.openOperations(), given);
  const early = [...first.doubtful, ...operations.filter(({ level }) => level === 'error')];
  if (!isDaemonRunning || early.length === 0) return [first.summary, ...first.doubtful, ...operations];
  await sleep(confirmMs);
  const second = await look();
  const late = checkOperations(second.machines, await records.openOperations(), given);
  const before = new Set(early.map(keyOf));
  const confirmed = [...second.doubtful, ...late].filter(
    (finding) => finding.level === 'ok' || before.has(keyOf(finding)),
  );
  return [second.summary, ...confirmed];
}

function keyOf({ subject, message }: Finding): string {
  return `${subject}\n${message}`;
}
