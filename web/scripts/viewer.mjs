// Puts the OHIF viewer into dist/viewer/, ready for the address /viewer/ and for
// a content-security policy without inline scripts. OHIF comes as one pinned
// package, checked against its hash; its dependencies are bundled in it, so none
// is installed. Nothing in the package is run here.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { minifySync } from 'rolldown/utils';

const PACKAGE = '@ohif/app@3.13.2';
const SHA512 = 'WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA==';
const BASE = '/viewer/';

const web = join(dirname(fileURLToPath(import.meta.url)), '..');
const cache = join(web, 'node_modules', '.cache', 'ohif');
const target = join(web, 'dist', 'viewer');

// Left out: model runtimes for labelling in the browser and the whole-slide
// viewer (Hilum offers neither), the demo's customizations, sign-in helpers and
// service worker, source maps, and launch screens of phones.
const LEFT_OUT = [
  /^ort\//, /^dicom-microscopy-viewer\//, /^customizations\//, /\.map$/,
  /^(_headers|_redirects|serve\.json|google\.js|silent-refresh\.html|sw\.js|init-service-worker\.js)$/,
  /^(es6-shim|polyfill|oidc-client)\.min\.js$/, /^index\.html$/, /^app-config\.js$/, /^manifest\.json$/,
  /^assets\/(?!favicon|images\/)/,
];

// How often the package's scripts and style sheets name the address of its root.
const ROOTS = { code: 8, styles: 5 };

// Where ndarray and embind compile text, what viewer/without-eval.js does
// instead, and how often: one that is missed evaluates text only once somebody
// opens an image that needs it, so the build must notice.
const CAST = 'argTypes,isClassMethodFunc,needsDestructorStack,returns,cppInvokerFunc,cppTargetFunc,runDestructors';
const WITHOUT_EVAL = [
  [/function compileConstructor\(dtype, dimension\) \{/g, '$& return ndarrayWithoutEval(dtype, dimension, CACHED_CONSTRUCTORS, order);', 3],
  [/new_\(Function, ?args1\)\.apply\(null, ?args2\)/g, `embindInvoker(${CAST})`, 7],
  [/newFunc\(Function,args\)\(\.\.\.closureArgs\)/g, `embindInvoker(${CAST})`, 2],
  [/newFunc\(Function,params\)\(\.\.\.args\)/g, 'embindMethodCaller(types,kind,retType,emval_returnValue)', 2],
  [
    /new Function\("requireRegisteredType", ?"Module", ?"valueToHandle", ?"getMemory", ?functionBody\)\(requireRegisteredType, ?Module, ?Emval\.toHandle, ?getMemory\)/g,
    'embindAllocator(argCount,requireRegisteredType,Emval.toHandle,getMemory)',
    5,
  ],
  [/new Function\(\s*"body",\s*"return function " ?\+ ?name[^;]*;[^;]*;[^;]*;\\n"\s*\)\(body\)/g, 'embindNamed(body)', 7],
];

function unpack() {
  const tarball = join(cache, 'ohif-app-3.13.2.tgz');
  const unpacked = join(cache, 'package', 'dist');
  if (!existsSync(tarball)) {
    mkdirSync(cache, { recursive: true });
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    execFileSync(npm, ['pack', PACKAGE, '--pack-destination', cache, '--silent'], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  const hash = createHash('sha512').update(readFileSync(tarball)).digest('base64');
  if (hash !== SHA512) {
    rmSync(tarball);
    throw new Error(`${PACKAGE} is not what was reviewed: its SHA-512 is ${hash}`);
  }
  if (!existsSync(join(unpacked, 'index.html'))) {
    execFileSync('tar', ['-xzf', tarball, '-C', cache, 'package/dist', 'package/LICENSE']);
  }
  return unpacked;
}

function* filesBelow(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

/** How often each pattern was replaced so far. */
const replaced = new Map();

function replace(text, pattern, instead) {
  const times = text.match(pattern)?.length ?? 0;
  replaced.set(pattern, (replaced.get(pattern) ?? 0) + times);
  return times === 0 ? text : text.replace(pattern, instead);
}

/** Fails when the package has another shape than this script was written for. */
function expectReplaced(pattern, times) {
  const found = replaced.get(pattern) ?? 0;
  if (found !== times) throw new Error(`${PACKAGE}: ${pattern} was found ${found} times, not ${times}; look at scripts/viewer.mjs`);
}

const source = unpack();
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });

const CODE_ROOT = /__webpack_require__\.p = "\/"/g;
const STYLES_ROOT = /url\(\//g;
const ENTRY = /%ENTRY%/g;

let entry;
const withoutEval = readFileSync(join(web, 'viewer', 'without-eval.js'), 'utf8');
for (const file of filesBelow(source)) {
  const name = relative(source, file).replaceAll('\\', '/');
  if (LEFT_OUT.some(pattern => pattern.test(name))) continue;
  const to = join(target, name);
  mkdirSync(dirname(to), { recursive: true });
  if (name.endsWith('.js')) {
    const rebased = replace(readFileSync(file, 'utf8'), CODE_ROOT, `__webpack_require__.p = "${BASE}"`);
    const plain = WITHOUT_EVAL.reduce((text, [evaluating, instead]) => replace(text, evaluating, instead), rebased);
    const code = plain === rebased ? plain : `${withoutEval}\n${plain}`;
    const { code: small, errors } = minifySync(name, code, { compress: true, mangle: true, codegen: { removeWhitespace: true } });
    if (errors.length > 0) throw new Error(`${name}: ${errors[0].message}`);
    writeFileSync(to, small);
    if (name.startsWith('app.bundle.')) entry = name;
  } else if (name.endsWith('.css')) {
    writeFileSync(to, replace(readFileSync(file, 'utf8'), STYLES_ROOT, `url(${BASE}`));
  } else {
    cpSync(file, to);
  }
}
if (!entry) throw new Error(`${PACKAGE} has another layout than this script knows`);
expectReplaced(CODE_ROOT, ROOTS.code);
expectReplaced(STYLES_ROOT, ROOTS.styles);
for (const [evaluating, , times] of WITHOUT_EVAL) expectReplaced(evaluating, times);

cpSync(join(source, '..', 'LICENSE'), join(target, 'LICENSE'));
cpSync(join(web, 'viewer', 'app-config.js'), join(target, 'app-config.js'));
cpSync(join(web, 'viewer', 'start.js'), join(target, 'start.js'));
writeFileSync(join(target, 'index.html'), replace(readFileSync(join(web, 'viewer', 'index.html'), 'utf8'), ENTRY, entry));
expectReplaced(ENTRY, 1);

let bytes = 0;
for (const file of filesBelow(target)) bytes += statSync(file).size;
console.log(`viewer: ${(bytes / 1e6).toFixed(1)} MB in dist/viewer`);
