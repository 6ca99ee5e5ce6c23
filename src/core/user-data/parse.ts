/**
 * Reads the text of user data: a part of cloud-init's `#cloud-config`, or a script that begins with `#!`. What is
 * not supported is refused, so that nothing a user asks for is left undone silently. Pure.
 * Example: `#cloud-config\nruncmd: [touch /x]` → `{runcmd: ['touch /x'], …}`; `bootcmd: [x]` → `invalid`.
 */
import { AppError } from '../errors.ts';
import { readFlag, readList, readMap, readSshKeys, readText, readWord, wrong } from './fields.ts';
import { readFiles } from './files.ts';
import { checkParts } from './merge.ts';
import { type GuestCommand, type UserData, userDataBytesMax, userDataOf } from './user-data.ts';
import { readUsers } from './users.ts';
import { readYaml, type YamlValue } from './yaml.ts';

const packagesMax = 256;
const commandsMax = 256;
const argumentsMax = 1024;

const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const readHostname = readWord(
  new RegExp(`^(?=.{1,63}$)${label}(\\.${label})*$`),
  'must be letters, digits, hyphens and dots, at most 63',
);
const readPackage = readWord(
  /^[A-Za-z0-9][A-Za-z0-9+.:~=_-]{0,255}$/,
  'must be the name of a package, such as nginx or nginx=1.22.1-9',
);

/** Raises `invalid`, naming the line and what is supported. */
export function parseUserData(text: string): UserData {
  checkText(text);
  if (text.startsWith('#!')) return checkParts(userDataOf({ text, scripts: [text] }));
  if (!/^#cloud-config[ \t]*(\r?\n|$)/.test(text)) throw unknownForm();
  return checkParts({ ...readConfig(readYaml(text)), text });
}

function checkText(text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > userDataBytesMax)
    throw new AppError('invalid', `user data must be at most ${userDataBytesMax} bytes, not ${bytes}`, {
      hint: 'Let runcmd fetch what is large.',
    });
  if (text.includes('\0') || !text.isWellFormed())
    throw new AppError('invalid', 'user data must be text without NUL bytes', {
      hint: 'Give binary content in base64 (write_files with `encoding: b64`).',
    });
}

function unknownForm(): AppError {
  return new AppError('invalid', 'user data must begin with a line #cloud-config, or with #!', {
    hint: 'Write #cloud-config or a script; multi-part, include, template and compressed user data are not supported.',
  });
}

function readConfig(value: YamlValue): UserData {
  let config = userDataOf({});
  const set = (changes: Partial<UserData>) => {
    config = { ...config, ...changes };
  };
  // A text of comments only.
  if (value.kind === 'text' && value.text === '') return config;
  readMap(value, 'the text', {
    hostname: (item, key) => set({ hostname: readHostname(item, key) }),
    preserve_hostname: requireOff,
    users: (item) => set({ users: readUsers(item) }),
    ssh_authorized_keys: (item, key) => set({ sshAuthorizedKeys: readSshKeys(item, key) }),
    write_files: (item) => set({ writeFiles: readFiles(item) }),
    packages: (item, key) => set({ packages: readList(item, key, packagesMax, readPackage) }),
    runcmd: (item, key) => set({ runcmd: readList(item, key, commandsMax, readCommand) }),
  });
  return config;
}

function requireOff(value: YamlValue, what: string): void {
  if (readFlag(value, what)) throw wrong(value, what, 'must be false: Flotilla sets the host name');
}

function readCommand(value: YamlValue, what: string): GuestCommand {
  if (value.kind === 'list') {
    const argv = readList(value, what, argumentsMax, readText);
    if (!argv[0]) throw wrong(value, what, 'must begin with a program');
    return argv;
  }
  if (value.kind === 'map')
    throw wrong(value, what, "must be text or a list of text, not a map; put text that has ': ' in quotes");
  const line = readText(value, what);
  if (line.trim() === '') throw wrong(value, what, 'is empty');
  return line;
}
