import { expect, it } from 'vitest';

import { parseRoute, routeHash } from './route.ts';

it.each([
  ['', { study: null, model: false }],
  ['#/', { study: null, model: false }],
  ['#/model', { study: null, model: true }],
  ['#/study/a-_b', { study: 'a-_b', model: false }],
  ['#/study/a-_b/model', { study: 'a-_b', model: true }],
  ['#/study/model', { study: 'model', model: false }],
])('the address %s', (hash, route) => {
  expect(parseRoute(hash)).toEqual(route);
  expect(parseRoute(routeHash(route))).toEqual(route);
});
