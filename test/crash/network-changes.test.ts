import { networkProofs } from './network-changes.contract.ts';

networkProofs();
