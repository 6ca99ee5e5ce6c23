import { isQuick } from '../support/thoroughness.ts';
import { operationCases } from './operation-cases.ts';
import { operationProofs } from './operations.contract.ts';

// Each of an environment's operations begins many of machines, so their proofs take as long as all others together.
const skipped = isQuick ? ['environment.start', 'environment.stop', 'environment.delete'] : [];
operationProofs({ cases: operationCases.filter(({ kind }) => !skipped.includes(kind)) });
