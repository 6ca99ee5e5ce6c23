import { expect, test } from 'vitest';
import { sentence, soleSentence } from './sentence.ts';

test.each([
  ['the guest did not answer within 60 s', 'The guest did not answer within 60 s'],
  ["image 'tiny' is used by 1 machine", "Image 'tiny' is used by 1 machine"],
  ['a disk cannot shrink: it has 2048 MiB', 'A disk cannot shrink: it has 2048 MiB'],
  ["host's disk is full", "Host's disk is full"],
  ['there is no terminal to ask on', 'There is no terminal to ask on'],
  ['it must look like KEY=VALUE', 'It must look like KEY=VALUE'],
])('begins a sentence with a capital: %s', (text, shown) => {
  expect(sentence(text)).toBe(shown);
});

test.each([
  'limit must be at least 1',
  'name is required',
  'network cannot be had: guests have no network device yet',
  'vcpu_count is required',
  'labels.team must be a string',
  'flotilla images ls shows them',
  './flotilla setup installs it.',
  'debian-12 needs more memory',
  'Already a sentence',
  '',
])('leaves names as they are: %s', (text) => {
  expect(sentence(text)).toBe(text);
});

test.each([
  ['the machine is running already.', 'The machine is running already'],
  ['Try again. Then stop it.', 'Try again. Then stop it'],
  ['and so on...', 'And so on...'],
  ['is it running?', 'Is it running?'],
])('a line of its own ends without a full stop: %s', (text, shown) => {
  expect(soleSentence(text)).toBe(shown);
});
