import { expect, test } from 'vitest';
import { foreignCaller, ownNames } from '../../../src/domain/http-caller.ts';

const names = ownNames('Build-7', ['crossfade.internal']);

test.each([
  {},
  { host: '127.0.0.1:5580' },
  { host: '10.1.2.3' },
  { host: '[::1]:5580' },
  { host: 'localhost:5580' },
  { host: 'build-7:5580' },
  { host: 'Crossfade.internal.:80' },
  { host: '127.0.0.1:5580', origin: 'http://127.0.0.1:5580' },
  { host: '127.0.0.1:5580', origin: 'https://crossfade.internal' },
  { host: '127.0.0.1', 'sec-fetch-site': 'same-origin' },
])('an agent is served: %j', (headers) => {
  expect(foreignCaller(headers, names)).toBeUndefined();
});

test.each([
  [{ host: 'evil.example' }, /^the host "evil.example" is not a name of this machine/],
  [{ host: '127.0.0.1.evil.example:5580' }, /^the host/],
  [{ host: 'evil.example:5580', origin: 'http://evil.example:5580' }, /^the host/],
  [
    { host: '127.0.0.1:5580', origin: 'http://evil.example' },
    /^requests from the web page "http:\/\/evil.example" are/,
  ],
  [{ host: '127.0.0.1:5580', origin: 'http://127.0.0.1:8080' }, /^requests from the web page/],
  [{ host: '127.0.0.1:5580', origin: 'null' }, /^requests from the web page "null"/],
  [{ host: '127.0.0.1:5580', 'sec-fetch-site': 'cross-site' }, /^requests from a web page of another site/],
] as const)('a web page is refused: %j', (headers, reason) => {
  expect(foreignCaller(headers, names)).toMatch(reason);
});
