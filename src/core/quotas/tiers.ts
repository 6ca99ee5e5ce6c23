/**
 * Tiers of keys: how many requests a minute a tenant may make with keys of a tier, and how many machines it may have
 * when it creates one with such a key. A key without a tier has neither limit. The figures are HyperMachine's.
 */
import { noLimits, type QuotaLimits } from './quota.ts';

/** From the lowest to the highest. */
export const keyTiers = ['free', 'pro', 'enterprise'] as const;
export type KeyTier = (typeof keyTiers)[number];

export interface TierLimits {
  /** Null: unlimited. */
  readonly requestsPerMinute: number | null;
  readonly machines: number | null;
}

export const tierLimits: Readonly<Record<KeyTier, TierLimits>> = {
  free: { requestsPerMinute: 60, machines: 5 },
  pro: { requestsPerMinute: 600, machines: 50 },
  enterprise: { requestsPerMinute: null, machines: null },
};

/** What a tier allows to have. */
export function limitsOfTier(tier: KeyTier | null): QuotaLimits {
  return { ...noLimits, machines: tier === null ? null : tierLimits[tier].machines };
}

/** Whether a key of one tier may make keys of another: not of a higher one. */
export function mayGrant(own: KeyTier | null, granted: KeyTier | null): boolean {
  if (own === null) return true;
  return granted !== null && keyTiers.indexOf(granted) <= keyTiers.indexOf(own);
}
