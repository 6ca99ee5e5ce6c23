/** Every dialect this daemon speaks. */
import type { Dialect } from './dialect.ts';
import { machinesDialect } from './dialects/machines/dialect.ts';
import { nativeDialect } from './native/dialect.ts';

export const dialects: readonly Dialect[] = [machinesDialect, nativeDialect];
