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

// Where ndarray and embind compile text, and what viewer/without-eval.js does
// instead.
const CAST = 'argTypes,isClassMethodFunc,needsDestructorStack,returns,cppInvokerFunc,cppTargetFunc,runDestructors';
const WITHOUT_EVAL = [
  [/function compileConstructor\(dtype, dimension\) \{/g, '$& return ndarrayWithoutEval(dtype, dimension, CACHED_CONSTRUCTORS, order);'],
  [/new_\(Function, ?args1\)\.apply\(null, ?args2\)/g, `embindInvoker(${CAST})`],
  [/newFunc\(Function,args\)\(\.\.\.closureArgs\)/g, `embindInvoker(${CAST})`],
  [/newFunc\(Function,params\)\(\.\.\.args\)/g, 'embindMethodCaller(types,kind,retType,emval_returnValue)'],
  [
    /new Function\("requireRegisteredType", ?"Module", ?"valueToHandle", ?"getMemory", ?functionBody\)\(requireRegisteredType, ?Module, ?Emval\.toHandle, ?getMemory\)/g,
    'embindAllocator(argCount,requireRegisteredType,Emval.toHandle,getMemory)',
  ],
  [/new Function\(\s*"body",\s*"return function " ?\+ ?name[^;]*;[^;]*;[^;]*;\\n"\s*\)\(body\)/g, 'embindNamed(body)'],
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

/** Replaces `from` in a file's text, and fails when it is not there: then the
 *  package has changed its shape and this script must be looked at. */
function replaceAll(text, from, to, where) {
  if (!text.includes(from)) throw new Error(`${where} does not contain ${from}`);
  return text.replaceAll(from, to);
}

const source = unpack();
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });

let entry;
let rebased = 0;
let replaced = 0;
const withoutEval = readFileSync(join(web, 'viewer', 'without-eval.js'), 'utf8');
for (const file of filesBelow(source)) {
  const name = relative(source, file).replaceAll('\\', '/');
  if (LEFT_OUT.some(pattern => pattern.test(name))) continue;
  const to = join(target, name);
  mkdirSync(dirname(to), { recursive: true });
  if (name.endsWith('.js')) {
    let code = readFileSync(file, 'utf8');
    if (code.includes('__webpack_require__.p = "/"')) {
      code = replaceAll(code, '__webpack_require__.p = "/"', `__webpack_require__.p = "${BASE}"`, name);
      rebased += 1;
    }
    const plain = WITHOUT_EVAL.reduce((text, [evaluating, instead]) => text.replace(evaluating, instead), code);
    if (plain !== code) {
      code = `${withoutEval}\n${plain}`;
      replaced += 1;
    }
    const { code: small, errors } = minifySync(name, code, { compress: true, mangle: true, codegen: { removeWhitespace: true } });
    if (errors.length > 0) throw new Error(`${name}: ${errors[0].message}`);
    writeFileSync(to, small);
    if (name.startsWith('app.bundle.')) entry = name;
  } else if (name.endsWith('.css')) {
    writeFileSync(to, readFileSync(file, 'utf8').replaceAll('url(/', `url(${BASE}`));
  } else {
    cpSync(file, to);
  }
}
if (!entry || rebased === 0 || replaced === 0) throw new Error(`${PACKAGE} has another layout than this script knows`);

cpSync(join(source, '..', 'LICENSE'), join(target, 'LICENSE'));
cpSync(join(web, 'viewer', 'app-config.js'), join(target, 'app-config.js'));
cpSync(join(web, 'viewer', 'start.js'), join(target, 'start.js'));
writeFileSync(
  join(target, 'index.html'),
  replaceAll(readFileSync(join(web, 'viewer', 'index.html'), 'utf8'), '%ENTRY%', entry, 'viewer/index.html'),
);

let bytes = 0;
for (const file of filesBelow(target)) bytes += statSync(file).size;
console.log(`viewer: ${(bytes / 1e6).toFixed(1)} MB in dist/viewer`);
