/** User data in a real guest: what it does, what fails, and that neither a restart nor a killed daemon repeats it. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvYg bob@example';
const userData = `#cloud-config
hostname: given
ssh_authorized_keys: [${key}]
users:
  - default
  - name: bob
    groups: [ops]
    ssh_authorized_keys: [${key}]
write_files:
  - path: /opt/app/conf
    content: |
      a: 1
    owner: bob:ops
    permissions: '0640'
packages: [nginx]
runcmd:
  - echo x >> /count
  - [sh, -c, 'echo oops >&2; exit 3']
  - while [ ! -e /go ]; do sleep 0.1; done
  - [touch, /last]
`;

let directory: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;

beforeAll(async () => {
  directory = await makeStateDirectory();
  daemon = await startDaemonProcess(directory.path);
});

afterAll(async () => {
  for (const name of ['web', 'deb']) await daemon.client.machines.delete(name, { force: true });
  await daemon.terminate();
  await directory.remove();
});

const get = (name = 'web') => daemon.client.machines.get(name);
async function sh(line: string, name = 'web', user = 'root'): Promise<string> {
  return (await daemon.client.machines.exec(name, { command: ['sh', '-c', line], user })).stdout;
}
const soon = { timeout: 120_000, interval: 200 };

test('a machine runs at once, while its guest carries out its user data', async () => {
  const spec = { name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox', user_data: userData };
  expect(await daemon.client.machines.create(spec)).toMatchObject({
    user_data: userData,
    provisioning: { status: 'pending', message: null },
  });
  expect(await daemon.client.machines.start('web')).toMatchObject({ status: 'running' });
  await expect.poll(() => sh('cat /var/lib/flotilla/user-data.json'), soon).toContain('runcmd 3 of 4');
  expect(await get()).toMatchObject({ provisioning: { status: 'running', message: null } });
});

test('a daemon that was killed meanwhile learns the outcome', async () => {
  await daemon.kill();
  daemon = await startDaemonProcess(directory.path);
  expect(await get()).toMatchObject({ provisioning: { status: 'running' } });
  await sh('touch /go');
  await expect.poll(async () => (await get()).provisioning?.status, soon).toBe('failed');
  const { provisioning, status } = await get();
  expect(status).toBe('running');
  expect(provisioning?.message).toBe(
    'packages: the guest has neither apt-get nor apk; runcmd 2 of 4: exit code 3: oops',
  );
});

test('the guest is as asked for', async () => {
  expect(await sh('hostname; cat /etc/hostname')).toBe('given\ngiven\n');
  expect(await sh('id bob')).toMatch(/^uid=(\d+)\(bob\) gid=\1\(bob\) groups=.*\(ops\)/);
  expect(await sh('cat /opt/app/conf; stat -c "%a %U:%G" /opt/app/conf')).toBe('a: 1\n640 bob:ops\n');
  const modes = 'stat -c "%a %U" .ssh .ssh/authorized_keys; cat .ssh/authorized_keys';
  expect(await sh(`cd /home/bob && ${modes}`)).toBe(`700 bob\n600 bob\n${key}\n`);
  expect(await sh(`cd /root && ${modes}`)).toBe(`700 root\n600 root\n${key}\n`);
  expect(await sh('cat /count; ls /last')).toBe('x\n/last\n');
  expect(await sh('cat /var/log/flotilla-user-data.log')).toContain('\noops\n');
});

test('its console shows the progress and the failure', async () => {
  const console = await daemon.client.machines.console('web', { lines: 100 });
  expect(console).toContain('flotilla: user data: begins');
  expect(console).toContain('flotilla: user data: failed: runcmd 2 of 4: exit code 3: oops');
});

test('a restart does not repeat it', async () => {
  const before = await get();
  await daemon.client.machines.restart('web');
  expect(await sh('hostname; cat /count')).toBe('given\nx\n');
  expect((await get()).provisioning).toEqual(before.provisioning);
});

test('debian-12: accounts, keys, files, host name and commands; packages need a network, which is said', async () => {
  const text = `#cloud-config
hostname: deb.example
ssh_authorized_keys: [${key}]
users:
  - name: ada
    gecos: Ada Lovelace
    groups: [adm, makers]
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys: [${key}]
write_files:
  - path: /srv/app/main.py
    content: |
      import json, os, pwd
      print(json.dumps({"user": pwd.getpwuid(os.getuid()).pw_name, "host": os.uname().nodename}))
    owner: ada:makers
    permissions: '0750'
  - path: /etc/motd
    content: aGVsbG8K
    encoding: b64
    append: true
packages: [nginx]
runcmd:
  - [su, ada, -c, 'python3 /srv/app/main.py >/home/ada/said']
  - |
    set -e
    for i in 1 2 3; do echo "$i" >>/srv/steps; done
`;
  await daemon.client.machines.create({
    ...{ name: 'deb', vcpu_count: 1, mem_size_mib: 256, image: 'debian-12', user_data: text },
  });
  await daemon.client.machines.start('deb');
  await expect.poll(async () => (await get('deb')).provisioning?.status, soon).toBe('failed');
  const why = 'packages: the guest has no network, so packages cannot be fetched';
  expect((await get('deb')).provisioning?.message).toBe(why);
  const console = await daemon.client.machines.console('deb', { lines: 200 });
  expect(console).toContain(`flotilla: user data: failed: ${why}`);

  expect(await sh('hostname; cat /etc/hostname', 'deb')).toBe('deb.example\ndeb.example\n');
  const account = 'getent passwd ada; id -Gn; pwd; cat /home/ada/said';
  expect(await sh(account, 'deb', 'ada')).toMatch(
    /^ada:x:(\d+):\1:Ada Lovelace:\/home\/ada:\/bin\/bash\nada adm makers\n\/home\/ada\n\{"user": "ada", "host": "deb\.example"\}\n$/,
  );
  expect(await sh('getent shadow ada | cut -d: -f2', 'deb')).toMatch(/^[!*]/);
  expect(await sh('stat -c "%a %U:%G" /srv/app/main.py; tail -n 1 /etc/motd; cat /srv/steps', 'deb')).toBe(
    '750 ada:makers\nhello\n1\n2\n3\n',
  );
  const keys = 'stat -c "%a %U" .ssh .ssh/authorized_keys; cat .ssh/authorized_keys';
  expect(await sh(`cd && ${keys}`, 'deb')).toBe(`700 root\n600 root\n${key}\n`);
  expect(await sh(`cd && ${keys}`, 'deb', 'ada')).toBe(`700 ada\n600 ada\n${key}\n`);
  expect(await sh('cat /etc/sudoers.d/*; stat -c %a /etc/sudoers.d/*', 'deb')).toMatch(
    /^ada ALL=\(ALL\) NOPASSWD:ALL\n440\n$/m,
  );
});
