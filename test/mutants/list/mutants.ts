import type { Mutant } from '../mutant.ts';
import { COPY_MUTANTS } from './copies.ts';
import { ENGINE_MUTANTS } from './engine.ts';
import { FLIP_MUTANTS } from './flips.ts';
import { LANE_MUTANTS } from './lanes.ts';
import { SERVICE_MUTANTS } from './services.ts';
import { STORE_MUTANTS } from './stores.ts';

/** All of them, by their numbers. */
export const MUTANTS: readonly Mutant[] = [
  ...ENGINE_MUTANTS,
  ...COPY_MUTANTS,
  ...LANE_MUTANTS,
  ...STORE_MUTANTS,
  ...SERVICE_MUTANTS,
  ...FLIP_MUTANTS,
].toSorted((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)));
