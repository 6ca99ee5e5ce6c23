/** What several groups of environment variables are read with. */
import { z } from 'zod';

/** Decimal digits only: JavaScript's conversion would accept `0x927C0`, `1e6` and spaces. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`);

/** 0: any free port. */
export const port = wholeNumber(0, 65_535);
