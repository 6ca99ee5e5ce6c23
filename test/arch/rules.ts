/** The rules of the repository's shape, as data. The reasons are printed when a rule is broken. */

/** What the files of a folder may import beside the folder itself. The rule of the innermost folder holds. */
export interface RoomRule {
  readonly folder: string;
  /** Folders and files of ours; `any`: all but `main`. */
  readonly ours: readonly string[] | 'any';
  /** Node's own modules; `any`: all. */
  readonly builtins: readonly string[] | 'any';
  /** npm packages by name. */
  readonly packages: readonly string[] | 'any';
  readonly reason: string;
}

/** The folders inside `within` do not import one another. */
export interface SiblingRule {
  readonly within: string;
  readonly reason: string;
}

/** Whatever the folder's code reaches at run time, through whichever files, uses only these modules of Node. */
export interface ReachRule {
  readonly folder: string;
  readonly builtins: readonly string[];
  readonly reason: string;
}

/** Words that code in `folders` does not contain; comments and strings are not code. */
export interface WordRule {
  readonly folders: readonly string[];
  readonly except: readonly string[];
  readonly pattern: RegExp;
  readonly reason: string;
}

export interface NameRule {
  readonly folders: readonly string[];
  readonly except: readonly string[];
  /** What a path below the repository's root must be like. */
  readonly pattern: RegExp;
  readonly reason: string;
}

export interface SizeRule {
  readonly linesMax: number;
  readonly testLinesMax: number;
  /** Files and folders that may be longer, and why. */
  readonly except: readonly { readonly path: string; readonly reason: string }[];
  readonly reason: string;
}

/** Files that begin with a comment saying what they are for; in Go, packages whose main file does. */
export interface HeaderRule {
  readonly folders: readonly string[];
  readonly except: readonly string[];
  readonly reason: string;
}

export interface Rules {
  readonly rooms: readonly RoomRule[];
  readonly siblings: readonly SiblingRule[];
  readonly reaches: readonly ReachRule[];
  readonly words: readonly WordRule[];
  readonly names: readonly NameRule[];
  readonly size: SizeRule;
  readonly headers: HeaderRule;
}

/** Folders that hold sources. */
export const sourceFolders = [
  'src',
  'sdk',
  'cli',
  'bench',
  'test',
  'guest-agent',
  'launch-shim',
  'image-builder',
  'guest-sftp',
] as const;

/** Modules that compute and touch nothing outside the process. */
const pureBuiltins = [
  'node:async_hooks',
  'node:buffer',
  'node:crypto',
  'node:events',
  'node:path',
  'node:stream',
  'node:util',
  'node:zlib',
];

/** What an outer edge knows of core: its ports, and the types and pure rules of what goes through them. */
const portsAndTypes = [
  'src/core/environments/environment.ts',
  'src/core/errors.ts',
  'src/core/events/event.ts',
  'src/core/images/names.ts',
  'src/core/keys/caller.ts',
  'src/core/keys/key.ts',
  'src/core/machines/invariants.ts',
  'src/core/machines/machine.ts',
  'src/core/machines/states.ts',
  'src/core/network/addresses.ts',
  'src/core/network/machine-network.ts',
  'src/core/operations/operation.ts',
  'src/core/ports',
  'src/core/routes/route.ts',
  'src/core/snapshots/snapshot.ts',
  'src/core/ssh/ssh-key.ts',
  'src/core/templates/template.ts',
  'src/core/user-data/user-data.ts',
  'src/core/quotas/quota.ts',
  'src/core/quotas/tiers.ts',
];

const edgeReason =
  'an edge implements core’s ports and meets no other edge; what two of them share belongs to core or lib';

export const rules: Rules = {
  rooms: [
    {
      folder: 'src/lib',
      ours: [],
      builtins: 'any',
      packages: [],
      reason: 'lib has no domain words, so that it could be taken to another project as it is',
    },
    {
      folder: 'src/core',
      ours: ['src/lib'],
      builtins: pureBuiltins,
      packages: [],
      reason: 'core decides and asks through ports; it knows no HTTP, SQL, process, file or engine',
    },
    {
      folder: 'src/core/user-data',
      ours: ['src/core/errors.ts'],
      builtins: ['node:zlib'],
      packages: ['yaml'],
      reason: 'user data is text of strangers: only pure readers see it, and what they make is plain data',
    },
    {
      folder: 'src/core/ports',
      ours: [
        'src/core/environments/environment.ts',
        'src/core/errors.ts',
        'src/core/events/event.ts',
        'src/core/keys/key.ts',
        'src/core/machines/machine.ts',
        'src/core/machines/states.ts',
        'src/core/operations/operation.ts',
        'src/core/ssh/ssh-key.ts',
        'src/core/routes/route.ts',
        'src/core/snapshots/snapshot.ts',
        'src/core/templates/template.ts',
        'src/core/user-data/user-data.ts',
        'src/core/quotas/quota.ts',
      ],
      // For the type of a stream.
      builtins: ['node:stream'],
      packages: [],
      reason: 'ports are interfaces over core’s types; an edge that reads one learns nothing of services',
    },
    {
      folder: 'src/engines',
      // The layout only makes names: the place of a run directory is known once.
      ours: ['src/lib', 'src/storage/layout.ts', ...portsAndTypes],
      builtins: 'any',
      packages: ['zod'],
      reason: `${edgeReason}; a driver’s handle carries the guest’s address, and the guest room dials it`,
    },
    {
      folder: 'src/guest',
      ours: ['src/lib', ...portsAndTypes],
      builtins: 'any',
      packages: ['zod'],
      reason: edgeReason,
    },
    {
      folder: 'src/storage',
      ours: ['src/lib', ...portsAndTypes],
      builtins: 'any',
      packages: ['zod'],
      reason: edgeReason,
    },
    {
      folder: 'src/network',
      ours: ['src/lib', 'src/storage/layout.ts', ...portsAndTypes],
      builtins: 'any',
      packages: ['dns-packet', 'zod'],
      reason: `${edgeReason}; how an interface gets into a guest is its engine’s business`,
    },
    {
      folder: 'src/store',
      ours: ['src/lib', ...portsAndTypes],
      builtins: 'any',
      packages: ['kysely', 'pg', 'zod'],
      reason: edgeReason,
    },
    {
      folder: 'src/scripts',
      ours: ['src/lib', 'src/core/errors.ts', 'src/core/ports'],
      builtins: 'any',
      packages: [],
      reason: edgeReason,
    },
    {
      folder: 'src/proxy',
      ours: ['src/core', 'src/lib'],
      builtins: 'any',
      packages: ['acme-client', 'undici'],
      reason:
        'the proxy passes requests of strangers on; it knows core, and neither the API nor how guests are reached',
    },
    {
      folder: 'src/http',
      ours: ['src/core', 'src/lib'],
      builtins: 'any',
      packages: [
        '@hono/node-server',
        '@hono/zod-openapi',
        '@modelcontextprotocol/sdk',
        'hono',
        'stream-json',
        'ws',
        'yaml',
        'zod',
      ],
      reason: 'http translates requests into calls of core; what is behind the ports is not its business',
    },
    {
      folder: 'src/ssh',
      ours: ['src/core', 'src/lib'],
      builtins: 'any',
      packages: ['ssh2'],
      reason:
        'ssh translates a protocol into calls of core, as http does; what is behind the ports is not its business',
    },
    {
      folder: 'src/setup',
      ours: ['src/lib', 'src/storage/layout.ts', 'src/core/errors.ts'],
      builtins: 'any',
      packages: ['zod'],
      reason: 'set-up prepares files before there is a daemon, so it needs nothing of one',
    },
    {
      folder: 'src/main',
      ours: [
        'src',
        'sdk',
        'bench',
        'cli/help-style.ts',
        'cli/host-commands.ts',
        'cli/operator-socket.ts',
        'cli/patient-fetch.ts',
        'cli/usage.ts',
      ],
      builtins: 'any',
      packages: 'any',
      reason: 'main joins the rooms',
    },
    {
      folder: 'sdk',
      ours: [],
      builtins: [],
      packages: [],
      reason: 'the SDK runs in browsers and in other people’s programs, without us',
    },
    {
      folder: 'sdk/scripts',
      ours: [],
      builtins: [],
      packages: ['openapi-typescript'],
      reason: 'generators make text from the document they are given; the package ships without them',
    },
    {
      folder: 'cli',
      ours: ['sdk', 'src/lib/sentence.ts', 'src/lib/wrap.ts'],
      builtins: 'any',
      // `ws`, because Node's own WebSocket can neither be paused nor go over the operator's unix socket.
      packages: ['@modelcontextprotocol/sdk', 'commander', 'liquidjs', 'ws', 'yaml', 'zod'],
      reason:
        'the command line can do what anybody with the SDK can do, and nothing else; it shares only how texts for people look',
    },
    {
      folder: 'bench',
      ours: ['src', 'sdk'],
      builtins: 'any',
      packages: ['hono', 'ws'],
      reason: 'the bench starts its own daemon and measures it from outside',
    },
    { folder: 'test', ours: 'any', builtins: 'any', packages: 'any', reason: 'tests look everywhere' },
  ],
  siblings: [
    {
      within: 'src/http/dialects',
      reason:
        'a dialect is a translation of its own; what two share belongs to src/http or is missing in core',
    },
    {
      within: 'src/engines',
      reason: 'drivers differ in deeds; what two share belongs beside their folders',
    },
  ],
  reaches: [
    {
      folder: 'src/core',
      builtins: pureBuiltins,
      reason: 'core stays free of effects also through what it imports from lib, so its tests need no host',
    },
  ],
  words: [
    {
      folders: ['src/http'],
      except: ['src/http/host-paths.ts'],
      pattern: /\b(?:failure|reason)\??\.message\b/,
      reason:
        'the message of a failure may name files of the host; host-paths.ts shows it to those who may see them',
    },
    {
      folders: ['src/core/keys', 'src/main/admin-key.ts', 'src/guest', 'src/http/access.ts'],
      except: [],
      pattern:
        /\b(?:secret|hash|digest|token|expected)\b\)?\s*[=!]==?(?!=)(?!\s*(?:null|undefined)\b)|[=!]==?\s*(?:\w+\.)*(?:secret|hash|digest|token|expected)\b(?!\.length)|\b(?:secret|hash|digest|token|expected)\.(?:equals|compare|startsWith|endsWith|includes|indexOf|localeCompare)\(|\bBuffer\.compare\(/,
      reason:
        'a comparison that ends at the first difference tells secrets byte by byte; use timingSafeEqual',
    },
    {
      folders: ['src/core'],
      except: [],
      pattern: /\b(?:Date\.now|performance\.now|set(?:Timeout|Interval|Immediate))\s*\(|\bnew Date\b/,
      reason: 'core takes time from the Clock port only, so that tests need not wait',
    },
    {
      folders: ['src', 'sdk', 'bench'],
      // The program's entry hands the environment to config.ts.
      except: ['src/main/config.ts', 'src/main/cli.ts'],
      pattern: /\bprocess\s*\.\s*env\b/,
      reason: 'src/main/config.ts is the one reader of the environment, so that every setting is known there',
    },
    {
      folders: ['cli'],
      except: ['cli/config.ts', 'cli/main.ts'],
      pattern: /\bprocess\s*\.\s*env\b/,
      reason: 'cli/config.ts is the command line’s one reader of the environment',
    },
  ],
  names: [
    {
      folders: ['src', 'sdk', 'cli', 'bench', 'test'],
      except: [],
      pattern: /^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)+[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.contract)?\.ts$/,
      reason: 'files are kebab-case and named for what they export; x.test.ts and x.contract.ts test',
    },
    {
      folders: ['src'],
      except: ['src/http/dialects'],
      pattern: /^(?!.*[/-](?:vm|vms|sandbox|box|utils?|helpers?|misc|common)[./-])/,
      reason: 'we say machine, and a file says what it holds; other systems’ words live in the dialects',
    },
  ],
  size: {
    linesMax: 500,
    testLinesMax: 800,
    except: [
      { path: 'sdk/src/generated', reason: 'nobody reads it: it says what the OpenAPI document says' },
    ],
    reason: 'a file that cannot be read in one sitting holds more than one thing',
  },
  headers: {
    folders: sourceFolders,
    // A migration is named for what it does, and is never edited.
    except: ['src/store/migrations'],
    reason: 'a newcomer learns from the first lines what a file is for',
  },
};
