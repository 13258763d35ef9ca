// The views of the package ndarray, which it writes as text and compiles with
// `new Function`. This does the same without, so that the viewer's
// content-security policy need not permit evaluating text. The build puts
// this file in front of those that need it.
function ndarrayWithoutEval(dtype, dimension, constructors, order) {
  const generic = dtype === 'generic';
  const d = Math.max(0, dimension);
  class View {
    constructor(data, shape, stride, offset) {
      this.data = data;
      this.shape = shape;
      this.stride = stride;
      this.offset = offset | 0;
    }
    get size() {
      if (dimension < 0) return 0;
      let size = 1;
      for (let i = 0; i < d; i += 1) size *= this.shape[i];
      return size;
    }
    get order() {
      return dimension < 0 ? [] : order.call(this);
    }
    index(...at) {
      if (dimension < 0) return -1;
      let index = this.offset;
      for (let i = 0; i < d; i += 1) index += this.stride[i] * at[i];
      return index;
    }
    get(...at) {
      if (dimension < 0) return undefined;
      const index = this.index(...at);
      return generic ? this.data.get(index) : this.data[index];
    }
    set(...at) {
      if (dimension < 0) return undefined;
      const index = this.index(...at);
      const value = at[d];
      return generic ? this.data.set(index, value) : (this.data[index] = value);
    }
    valueOf() {
      return dimension === 0 ? this.get() : this;
    }
    hi(...to) {
      if (dimension < 0) return new View(this.data);
      const shape = this.shape.map((n, i) => (typeof to[i] !== 'number' || to[i] < 0 ? n : to[i] | 0));
      return new View(this.data, shape, this.stride.slice(), this.offset);
    }
    lo(...from) {
      if (dimension < 0) return new View(this.data);
      const shape = this.shape.slice();
      let offset = this.offset;
      for (let i = 0; i < d; i += 1) {
        if (typeof from[i] !== 'number' || from[i] < 0) continue;
        const by = from[i] | 0;
        offset += this.stride[i] * by;
        shape[i] -= by;
      }
      return new View(this.data, shape, this.stride.slice(), offset);
    }
    step(...by) {
      if (dimension < 0) return new View(this.data);
      const shape = this.shape.slice();
      const stride = this.stride.slice();
      let offset = this.offset;
      for (let i = 0; i < d; i += 1) {
        if (typeof by[i] !== 'number') continue;
        const step = by[i] | 0;
        if (step < 0) {
          offset += stride[i] * (shape[i] - 1);
          shape[i] = Math.ceil(-shape[i] / step);
        } else {
          shape[i] = Math.ceil(shape[i] / step);
        }
        stride[i] *= step;
      }
      return new View(this.data, shape, stride, offset);
    }
    transpose(...axes) {
      if (dimension < 0) return new View(this.data);
      const from = this.shape.map((_, i) => (axes[i] === undefined ? i : axes[i] | 0));
      return new View(this.data, from.map(i => this.shape[i]), from.map(i => this.stride[i]), this.offset);
    }
    pick(...at) {
      if (dimension < 0) return new View(this.data);
      const shape = [];
      const stride = [];
      let offset = this.offset;
      for (let i = 0; i < d; i += 1) {
        if (typeof at[i] === 'number' && at[i] >= 0) offset = (offset + this.stride[i] * at[i]) | 0;
        else {
          shape.push(this.shape[i]);
          stride.push(this.stride[i]);
        }
      }
      return constructors[dtype][shape.length + 1](this.data, shape, stride, offset);
    }
  }
  View.prototype.dtype = dtype;
  View.prototype.dimension = dimension;
  return (data, shape = [], stride = [], offset = 0) => new View(data, [...shape], [...stride], offset);
}

// The same for embind (Emscripten), which the image decoders use: it writes the
// text of a function that turns arguments into WebAssembly's and back.
function embindInvoker(types, isMethod, needsStack, returns, invoke, target, runDestructors) {
  const count = types.length - 2;
  return function invoker(...args) {
    if (args.length !== count) throw new TypeError(`called with ${args.length} arguments, expected ${count}`);
    const destructors = needsStack ? [] : null;
    const wired = isMethod ? [types[1].toWireType(destructors, this)] : [];
    for (let i = 0; i < count; i += 1) wired.push(types[i + 2].toWireType(destructors, args[i]));
    const result = invoke(target, ...wired);
    if (needsStack) runDestructors(destructors);
    else {
      const first = isMethod ? 1 : 2;
      for (let i = first; i < types.length; i += 1) types[i].destructorFunction?.(wired[i - first]);
    }
    return returns ? types[0].fromWireType(result) : undefined;
  };
}

function embindAllocator(count, requireType, toHandle, memory) {
  return (constructor, types, at) => {
    const args = [];
    for (let i = 0; i < count; i += 1) {
      const type = requireType(memory()[(types >> 2) + i], `parameter ${i}`);
      args.push(type.readValueFromPointer(at));
      at += type.argPackAdvance;
    }
    return toHandle(new constructor(...args));
  };
}

function embindMethodCaller(types, kind, returnType, returnValue) {
  return (object, method, destructors, at) => {
    const args = kind === 0 ? [object] : [];
    for (const type of types) {
      args.push(type.readValueFromPointer(at));
      at += type.argPackAdvance;
    }
    const result = kind === 1 ? new method(...args) : method.call(...args);
    return returnType.isVoid ? undefined : returnValue(returnType, destructors, result);
  };
}

function embindNamed(body) {
  return function named() {
    return body.apply(this, arguments);
  };
}
