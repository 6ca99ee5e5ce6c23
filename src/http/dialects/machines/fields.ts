/** Fields shared by creating and changing a machine, and the filters of lists. */
import { z } from '@hono/zod-openapi';
import {
  expiryActions,
  idleActions,
  lifetimeCountings,
  restartPolicies,
} from '../../../core/machines/machine.ts';
import { nameCharactersMax, namePattern, nameRule } from '../../../core/machines/names.ts';
import { entriesBytesMax, entriesMax, exposedPortsMax } from '../../../core/machines/update.ts';
import { machineKeysMax } from '../../../core/ssh/machine-keys.ts';
import { publicKeyCharactersMax } from '../../../core/ssh/public-key.ts';
import { userDataBytesMax } from '../../../core/user-data/user-data.ts';
import { closed, many, noNul, noNulPattern, openApi31 } from '../../schema.ts';

/** Linux takes 128 KiB with the NUL byte. This counts characters; the guest link counts their bytes. */
const argumentBytesMax = 131_071;

/** An argument or an environment variable's value. */
export const argument = z
  .string()
  .max(argumentBytesMax)
  .refine(noNul, 'must not contain NUL')
  .openapi({ pattern: noNulPattern });

export const envName = z
  .string()
  .min(1)
  .refine((key) => !/[=\0]/.test(key), 'must not contain = or NUL');
/** `envName` for the document. */
export const envNames = { minLength: 1, pattern: '^[^=\\u0000]*$' } as const;

export const nameField = z.string().min(1).max(nameCharactersMax).regex(namePattern, nameRule).openapi({
  description:
    'Unique among your machines, and the guest’s host name. At most 128 letters, digits, `.`, `_` and `-`. Must not look like an id: 12 lower-case letters and digits, also after `vm-` or `vm_`.',
  example: 'web-server',
});

export const userDataField = z.string().max(userDataBytesMax).openapi({
  description:
    'What its guest does once, after its first start: a part of cloud-init’s `#cloud-config`, or a script that begins with `#!`. At most 64 KiB. After a template’s own.',
  example: '#cloud-config\nruncmd:\n  - echo hello > /root/hello\n',
});

const port = z.int().min(1).max(65535);

export const exposedPortsField = z.array(port).max(exposedPortsMax);

const examplePublicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt';

export const sshKeysField = z
  .array(z.string().min(1).max(publicKeyCharactersMax))
  .max(machineKeysMax)
  .openapi({
    description:
      'Public keys, such as the content of `id_ed25519.pub`, that enter this machine alone through the SSH gateway. At most 64 keys and 32 KiB. Root’s keys in `user_data` are added. Root’s `authorized_keys` in the guest has them, too, as lines with the mark `managed-by-flotilla`.',
    example: [`${examplePublicKey} me@laptop`],
  });

const sshPort = z.int().min(0).max(65_535).nullable();

export const sshPortField = sshPort.openapi({
  description:
    'Port of the host at which SSH clients enter this machine alone, with a user of the guest as login name. 0: a free one; otherwise one of FLOTILLA_SSH_PORTS. Default, also for null: none.',
  example: 0,
});

export const sshPortChange = sshPort.openapi({
  description:
    'Port of the host at which SSH clients enter this machine alone. 0: the one that it has, or a free one; null: none.',
  example: 0,
});

export const sshKeyChanges = sshKeysField.openapi({
  description:
    'All public keys that enter this machine alone through the SSH gateway. Connections made with a key that is gone end. Root’s `authorized_keys` in the guest follows, at once while it runs and otherwise at its next start; lines without our mark stay. Also needs the scope `machines:exec`.',
});

const labelName = z.string().min(1).max(63);
const labelValue = z.string().max(255);
const labelNames = { minLength: 1, maxLength: 63 } as const;

const isFew = (entries: object) => Object.keys(entries).length <= entriesMax;
const isSmall = (entries: object) => Buffer.byteLength(JSON.stringify(entries)) <= entriesBytesMax;
const tooMany = `must be at most ${entriesMax}`;
const tooLarge = `must take at most ${entriesBytesMax} bytes in all`;
const named = (propertyNames: object) => openApi31({ maxProperties: entriesMax, propertyNames });

export const labelsField = z
  .record(labelName, labelValue)
  .refine(isFew, tooMany)
  .refine(isSmall, tooLarge)
  .openapi({
    description:
      'Your own keys and values, by which lists can be filtered. At most 64 labels and 16 KiB of JSON.',
    ...named(labelNames),
    example: { team: 'web' },
  });

export const labelChanges = z
  .record(labelName, labelValue.nullable())
  .refine(isFew, tooMany)
  .openapi({
    description: 'Labels to set; null removes a label. Other labels stay.',
    ...named(labelNames),
    example: { team: 'web', old: null },
  });

export const envField = z
  .record(envName, argument)
  .refine(isFew, tooMany)
  .refine(isSmall, tooLarge)
  .openapi({
    description:
      'Environment variables of every command run in the machine. At most 64 variables and 16 KiB of JSON.',
    ...named(envNames),
    example: { LANG: 'C.UTF-8' },
  });

export const envChanges = z
  .record(envName, argument.nullable())
  .refine(isFew, tooMany)
  .openapi({
    description:
      'Environment variables to set; null removes a variable. Other variables stay. Also needs the scope `machines:exec`.',
    ...named(envNames),
    example: { LANG: 'C.UTF-8' },
  });

export const restartField = z.enum(restartPolicies).openapi('RestartPolicy', {
  description:
    'When the machine restarts by itself. `no`: never. `on-failure`: when it fails. `always`: also when its guest powers off. Delays grow from 1 second to 5 minutes; after 10 restarts in a row it stays as it is.',
});

export const autoWakeField = z.boolean().openapi({
  description:
    'Whether a request through the reverse proxy, or an SSH login, starts or resumes the machine when it is stopped or paused.',
  example: true,
});

/** A year. */
const idleSecondsMax = 31_536_000;

export const holdField = z.int().min(1).max(idleSecondsMax).openapi({
  description: 'Seconds from now in which `idle` does not act, whoever uses the machine or does not.',
  example: 7200,
});

export const idleField = closed({
  after_seconds: z.int().min(1).max(idleSecondsMax).openapi({
    description: 'Seconds without requests, commands, terminals, file transfers and connections.',
    example: 600,
  }),
  action: z.enum(idleActions).openapi({
    description: '`pause` keeps its memory; `suspend` saves it on the disk and frees it; `stop` gives it up.',
    example: 'pause',
  }),
}).openapi('IdlePolicy', {
  description:
    'What happens to a running machine that nobody uses. `auto_wake` says whether requests wake it again.',
});

/** Ten years. */
const lifetimeSecondsMax = 315_360_000;

export const lifetimeField = z.int().min(1).max(lifetimeSecondsMax).openapi({
  description:
    'Seconds from now until `on_expire` happens to the machine, whoever uses it or does not. At most ten years.',
  example: 3600,
});

export const onExpireField = z.enum(expiryActions).openapi('ExpiryAction', {
  description:
    'What happens at the end of the lifetime. `delete`: the machine is gone, whatever its state. `pause`, `suspend` and `stop` put it to rest, as `idle` does; a whole new lifetime begins when it runs again.',
});

export const lifetimeCountsField = z.enum(lifetimeCountings).openapi('LifetimeCounts', {
  description:
    '`unless_paused`: the lifetime stands still while the machine is paused or suspended. `always`: it counts down then as well. It always counts while the machine is stopped.',
});

export const sortWords = [
  'created_at',
  '-created_at',
  'updated_at',
  '-updated_at',
  'name',
  '-name',
  'mem_size_mib',
  '-mem_size_mib',
] as const;

export const filterQuery = {
  label: many(z.string().min(1).max(319)).openapi({
    param: {
      description:
        'Label that machines must have: `key=value`, or `key` for any value. May be repeated, up to 16 times; all must match.',
    },
    example: ['team=web'],
  }),
  image: many(z.string().min(1).max(255)).openapi({
    param: {
      description:
        'Name of the image, the reference given at creation, or the digest. May be repeated: machines with any of them match.',
    },
    example: ['busybox'],
  }),
  sort: z
    .enum(sortWords)
    .openapi('MachineSort', { description: 'Order of a list of machines; `-` means descending.' })
    .optional()
    .openapi({ param: { description: 'Order of the list; `-` means descending. Default: `-created_at`.' } }),
};
