import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { sourceRoot } from '../../testing.ts';
import { differences, parseConfig, parseFragment } from './config.ts';

test('options that Linux drops, changes or adds are named', () => {
  const asked = parseFragment(
    '# Why\nCONFIG_A=y\nCONFIG_N=32\nCONFIG_S="x"\n\n# CONFIG_OFF is not set\nCONFIG_O=n\n',
  );
  const fits =
    '#\n# Automatically generated\n#\nCONFIG_A=y\nCONFIG_N=32\nCONFIG_S="x"\nCONFIG_MORE=y\n# CONFIG_O is not set\n';
  expect(differences(asked, parseConfig(fits))).toEqual([]);
  const other = 'CONFIG_N=8\nCONFIG_S="x"\nCONFIG_OFF=y\nCONFIG_O=m\n# CONFIG_A is not set\n';
  expect(differences(asked, parseConfig(other))).toEqual([
    'CONFIG_A should be y and is not set',
    'CONFIG_N should be 32 and is 8',
    'CONFIG_OFF should be not set and is y',
    'CONFIG_O should be not set and is m',
  ]);
});

test.each([
  ['CONFIG_A', 'line 1'],
  ['CONFIG_A = y', 'line 1'],
  ['CONFIG_A=y\n# CONFIG_B is not  set', 'line 2'],
  ['CONFIG_A=y\n# CONFIG_A is not set', 'CONFIG_A is configured twice'],
])('a fragment with %j is refused', (text, message) => {
  expect(() => parseFragment(text)).toThrow(message);
});

test('the fragment has what guests, container engines and Firecracker need', async () => {
  const asked = parseFragment(await readFile(join(sourceRoot, 'guest-kernel/flotilla.config'), 'utf8'));
  const needed = [
    ...[
      'VIRTIO_MMIO',
      'VIRTIO_MMIO_CMDLINE_DEVICES',
      'VIRTIO_PCI',
      'VIRTIO_BLK',
      'VIRTIO_NET',
      'VIRTIO_CONSOLE',
    ],
    ...[
      'VIRTIO_BALLOON',
      'PAGE_REPORTING',
      'HW_RANDOM_VIRTIO',
      'VIRTIO_VSOCKETS',
      'ACPI',
      'VMGENID',
      'SERIAL_8250',
    ],
    ...[
      'EXT4_FS',
      'OVERLAY_FS',
      'SQUASHFS',
      'EROFS_FS',
      'FUSE_FS',
      'TUN',
      'VETH',
      'BRIDGE',
      'BRIDGE_NETFILTER',
    ],
    ...['NF_NAT', 'NF_TABLES', 'NFT_COMPAT', 'NETFILTER_XT_TARGET_MASQUERADE', 'NETFILTER_XT_MATCH_ADDRTYPE'],
    ...['IP_NF_FILTER', 'IP_NF_NAT', 'IP6_NF_NAT', 'CGROUP_DEVICE', 'CGROUP_BPF', 'MEMCG', 'SECCOMP_FILTER'],
    'CC_OPTIMIZE_FOR_PERFORMANCE',
  ];
  expect(needed.filter((name) => asked.get(name) !== 'y')).toEqual([]);
  expect(asked.get('MODULES')).toBeNull();
});
