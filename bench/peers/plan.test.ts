import { expect, it } from 'vitest';
import { aptOptions, signedSources } from './packages.ts';
import { guestCommands, withPeers } from './plan.ts';
import { sshArguments } from './ssh.ts';

const blueprint = {
  program: '/usr/bin/qemu',
  args: ['-name', 'flotilla-inc'],
  incarnation: 'inc',
  netns: null,
  runDir: '/s/run/inc',
  diskPath: '/s/disks/m1/root.qcow2',
  baseImagePath: '/s/images/blobs/a',
  diskBytes: 1,
};

it('adds only a second port and a network limited to the loopback', () => {
  expect(withPeers(blueprint, '/c/peers.raw', 2222)).toEqual({
    ...blueprint,
    baseImagePath: '/c/peers.raw',
    args: [
      '-name',
      'flotilla-inc',
      '-chardev',
      'socket,id=qga,path=/s/run/inc/qga.sock,server=on,wait=off',
      '-device',
      'virtserialport,chardev=qga,name=org.qemu.guest_agent.0',
      '-netdev',
      'user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22',
      '-device',
      'virtio-net-device,netdev=net0',
    ],
  });
});

it('lets in only the holder of this run’s key', () => {
  const written = guestCommands('ssh-ed25519 AAAA bench\n').filter(({ stdin }) => stdin !== undefined);
  expect(written).toEqual([
    { argv: ['tee', '/root/.ssh/authorized_keys'], stdin: 'ssh-ed25519 AAAA bench\n' },
  ]);
});

it('makes a new connection each time, with this run’s key and no configuration', () => {
  const args = sshArguments({ port: 2222, keyFile: '/tmp/key' }, 'true');
  expect(args.slice(0, 2)).toEqual(['-F', 'none']);
  expect(args.slice(-6)).toEqual(['-i', '/tmp/key', '-p', '2222', 'root@127.0.0.1', 'true']);
  for (const option of ['ControlMaster=no', 'ControlPath=none', 'BatchMode=yes', 'IdentitiesOnly=yes'])
    expect(args[args.indexOf(option) - 1]).toBe('-o');
});

it('uses Debian’s keys for package sources that name none', () => {
  const named = 'deb [signed-by=/k.gpg] http://b/debian bookworm main';
  expect(signedSources(`deb http://a/debian bookworm main\n${named}\n`)).toBe(
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://a/debian bookworm main\n${named}\n`,
  );
});

it('keeps apt away from the host’s lists, archives, records and locks', () => {
  const options = aptOptions('/w');
  for (const option of [
    'Dir::State::Lists=/w/lists',
    'Dir::State::Status=/w/status',
    'Dir::Cache::Archives=/w/archives',
    'Dir::Etc::SourceParts=-',
    'Debug::NoLocking=true',
  ])
    expect(options[options.indexOf(option) - 1]).toBe('-o');
});
