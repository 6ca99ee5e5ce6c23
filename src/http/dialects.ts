/** Every dialect this daemon speaks. */
import type { Dialect } from './dialect.ts';
import { hatchDialect } from './dialects/hatch/dialect.ts';
import { hypermachineDialect } from './dialects/hypermachine/dialect.ts';
import { machinesDialect } from './dialects/machines/dialect.ts';
import { ttstackDialect } from './dialects/ttstack/dialect.ts';
import { nativeDialect } from './native/dialect.ts';

export const dialects: readonly Dialect[] = [
  machinesDialect,
  hatchDialect,
  hypermachineDialect,
  ttstackDialect,
  nativeDialect,
];
