/** Every deliberate fault. A fault that a test should have caught and did not becomes one more entry. */
import { coreMutations } from './core.ts';
import type { Mutation } from './mutation.ts';

export const mutations: readonly Mutation[] = [...coreMutations];
