import { takeCoverage } from 'node:v8';
import { afterAll } from 'vitest';

// A worker may be ended without writing what ran in it.
afterAll(() => takeCoverage());
