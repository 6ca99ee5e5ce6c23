import { operationProofs } from './operations.contract.ts';

operationProofs();
