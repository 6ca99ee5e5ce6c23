import { expect, test } from 'vitest';
import { variables, variablesOf } from './options.ts';

test('a variable has a value of its own or the one it has here', () => {
  expect(variables('A=1=2', { B: '' })).toEqual({ A: '1=2', B: '' });
  expect(variables('SECRET')).toEqual({ SECRET: null });
  expect(() => variables('=x')).toThrow('It must look like KEY=VALUE, or KEY.');
});

test('a file has one variable a line; comments and empty lines are none', () => {
  expect(variablesOf('# a comment\nA=1\r\n\nSECRET\nB=#2\n')).toEqual({ A: '1', SECRET: null, B: '#2' });
  expect(() => variablesOf('=x')).toThrow();
});
