// What OHIF's own page does in inline scripts.
console.time('scriptToView');
window.PUBLIC_URL = '/viewer/';
window.browserImportFunction = name => import(name);
