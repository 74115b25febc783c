/* The arithmetic of `sim.motion.kinematics`, in plain C: where a chain of joints puts its end, its Jacobian, and the
 * steps of inverse kinematics. `tests/sim/motion/oracle.py` says the same in NumPy and is what this is tested against.
 *
 * Arrays are C-contiguous float64 that the caller made; a matrix lies row by row. A pose is x y z and the quaternion
 * x y z w. Nothing is kept but a chain's constants, so that threads may share one. It is compiled without contraction
 * to fused multiply-adds, so that every processor finds the same bits with one C library.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <string.h>

#define MOST 16 /* joints of one chain */
#define ZERO 1e-8 /* a squared singular value below this counts as zero, as does the smallest for a condition number */
#define TINY 1e-12
#define SWEEPS 30

typedef struct {
    PyObject_HEAD
    int count;
    int order[MOST];            /* which of the caller's joints is the n-th from the base */
    int rotates[MOST];
    double axes[MOST][3];       /* in the joint's own frame */
    double basis[MOST][4][12];  /* what 1, sin q, 1 - cos q and q multiply: 3 x 4, from the joint before */
    double tip[12];
    double lower[MOST], upper[MOST], home[MOST];
} Chain;

typedef struct {
    double q[MOST];
    double pose[7];
    double jacobian[6 * MOST]; /* 6 rows of `count` */
} Posture;

typedef struct {
    int iterations;
    double rotation_weight, home_gain, step_max_rad, singular_m, singular_rad, tolerance_m, tolerance_rad;
} Options;

/* --- small algebra */

static double dot(const double *a, const double *b, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static double clamped(double value, double low, double high)
{
    value = value > low ? value : low;
    return value < high ? value : high;
}

static void composed(const double *a, const double *b, double *out)
{
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 4; c++)
            out[4 * r + c] = a[4 * r] * b[c] + a[4 * r + 1] * b[4 + c] + a[4 * r + 2] * b[8 + c]
                             + (c == 3 ? a[4 * r + 3] : 0.0);
}

/* S. W. Shepperd, "Quaternion from rotation matrix", J. Guidance and Control 1(3), 1978. */
static void quaternion(const double *m, double *out)
{
    double a = m[0], b = m[1], c = m[2], d = m[4], e = m[5], f = m[6], g = m[8], h = m[9], i = m[10];
    double squares[4] = {1.0 + a - e - i, 1.0 - a + e - i, 1.0 - a - e + i, 1.0 + a + e + i};
    double rows[4][4] = {
        {squares[0], b + d, c + g, h - f},
        {b + d, squares[1], f + h, c - g},
        {c + g, f + h, squares[2], d - b},
        {h - f, c - g, d - b, squares[3]},
    };
    int largest = 0;
    for (int k = 1; k < 4; k++)
        if (squares[k] > squares[largest])
            largest = k;
    double scale = 0.5 / sqrt(squares[largest]);
    for (int k = 0; k < 4; k++)
        out[k] = rows[largest][k] * scale;
}

/* The rotation vector that turns `start` into `to`, both unit quaternions, the shorter way round. */
static void difference(const double *to, const double *start, double *out)
{
    double ax = to[0], ay = to[1], az = to[2], aw = to[3];
    double bx = -start[0], by = -start[1], bz = -start[2], bw = start[3];
    double x = aw * bx + ax * bw + ay * bz - az * by;
    double y = aw * by - ax * bz + ay * bw + az * bx;
    double z = aw * bz + ax * by - ay * bx + az * bw;
    double w = aw * bw - ax * bx - ay * by - az * bz;
    if (w < 0.0)
        x = -x, y = -y, z = -z, w = -w;
    double sine = sqrt(x * x + y * y + z * z);
    double scale = sine < TINY ? 2.0 : 2.0 * atan2(sine, w) / sine;
    out[0] = x * scale, out[1] = y * scale, out[2] = z * scale;
}

/* Turn the rows of a matrix (rows x columns) among themselves until they are at right angles; `turns` (rows x rows)
 * takes part: on entry the unit matrix, then its rows are the directions (left singular vectors), and the lengths of the
 * matrix's rows are the singular values. M. R. Hestenes, "Inversion of matrices by biorthogonalization", SIAM 6(1), 1958.
 */
static void orthogonalized(double *matrix, double *turns, int rows, int columns)
{
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        int turned = 0;
        for (int p = 0; p < rows; p++)
            for (int q = p + 1; q < rows; q++) {
                double *u = matrix + p * columns, *v = matrix + q * columns;
                double uu = dot(u, u, columns), vv = dot(v, v, columns), uv = dot(u, v, columns);
                if (!(fabs(uv) > 1e-15 * sqrt(uu * vv)) || fabs(uv) < 1e-300)
                    continue;
                double zeta = (vv - uu) / (2.0 * uv);
                double tangent = (zeta < 0.0 ? -1.0 : 1.0) / (fabs(zeta) + sqrt(1.0 + zeta * zeta));
                double cosine = 1.0 / sqrt(1.0 + tangent * tangent), sine = cosine * tangent;
                for (int k = 0; k < columns; k++) {
                    double was = u[k];
                    u[k] = cosine * was - sine * v[k];
                    v[k] = sine * was + cosine * v[k];
                }
                for (int k = 0; turns && k < rows; k++) {
                    double was = turns[p * rows + k];
                    turns[p * rows + k] = cosine * was - sine * turns[q * rows + k];
                    turns[q * rows + k] = sine * was + cosine * turns[q * rows + k];
                }
                turned = 1;
            }
        if (!turned)
            return;
    }
}

static double condition(const double *jacobian, int rows, int columns)
{
    double copy[6 * MOST], most = 0.0, least = INFINITY;
    memcpy(copy, jacobian, sizeof(double) * rows * columns);
    orthogonalized(copy, NULL, rows, columns);
    for (int k = 0; k < rows; k++) {
        double length = sqrt(dot(copy + k * columns, copy + k * columns, columns));
        most = length > most ? length : most;
        least = length < least ? length : least;
    }
    return most / (least > ZERO ? least : ZERO);
}

/* --- kinematics */

static void placed(const Chain *chain, const double *q, Posture *at)
{
    int count = chain->count;
    double frames[MOST][12], tip[12], joint[12];
    memcpy(at->q, q, sizeof(double) * count);
    for (int n = 0; n < count; n++) {
        double angle = q[chain->order[n]], sine = sin(angle), versine = 1.0 - cos(angle);
        const double(*basis)[12] = chain->basis[n];
        for (int k = 0; k < 12; k++)
            joint[k] = basis[0][k] + sine * basis[1][k] + versine * basis[2][k] + angle * basis[3][k];
        if (n == 0)
            memcpy(frames[0], joint, sizeof joint);
        else
            composed(frames[n - 1], joint, frames[n]);
    }
    composed(frames[count - 1], chain->tip, tip);
    for (int k = 0; k < 3; k++)
        at->pose[k] = tip[4 * k + 3];
    quaternion(tip, at->pose + 3);
    for (int n = 0; n < count; n++) {
        const double *f = frames[n], *own = chain->axes[n];
        double axis[3], arm[3];
        for (int k = 0; k < 3; k++) {
            axis[k] = f[4 * k] * own[0] + f[4 * k + 1] * own[1] + f[4 * k + 2] * own[2];
            arm[k] = tip[4 * k + 3] - f[4 * k + 3];
        }
        double *column = at->jacobian + chain->order[n];
        for (int k = 0; k < 3; k++) {
            int next = (k + 1) % 3, last = (k + 2) % 3;
            double across = axis[next] * arm[last] - axis[last] * arm[next];
            column[k * count] = chain->rotates[n] ? across : axis[k];
            column[(3 + k) * count] = chain->rotates[n] ? axis[k] : 0.0;
        }
    }
}

/* Add to `step` the damped motion (n) of a task (3 x n) towards `away` (3), and take what the task uses out of `free`
 * (n x n). See `Kinematics.solve` for the damping; the projector is not damped.
 */
static void prioritized(const double *task, const double *away, double singular, int n, double *step, double *free_)
{
    double rows[3 * MOST], turns[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    memcpy(rows, task, sizeof(double) * 3 * n);
    orthogonalized(rows, turns, 3, n);
    for (int k = 0; k < 3; k++) {
        const double *row = rows + k * n;
        double square = dot(row, row, n), lacking = singular - sqrt(square);
        lacking = lacking > 0.0 ? lacking : 0.0;
        double along = dot(turns + 3 * k, away, 3) / (square + lacking * lacking);
        for (int i = 0; i < n; i++)
            step[i] += row[i] * along;
        if (square > ZERO)
            for (int i = 0; i < n; i++)
                for (int j = 0; j < n; j++)
                    free_[i * n + j] -= row[i] * row[j] / square;
    }
}

static void stepped(const double *jacobian, const double *away, const double *twist, const double *bias, int n,
                    const Options *o, double *step)
{
    double free_[MOST * MOST], turning[3 * MOST], left[3];
    for (int i = 0; i < n; i++) {
        step[i] = 0.0;
        for (int j = 0; j < n; j++)
            free_[i * n + j] = i == j;
    }
    prioritized(jacobian, away, o->singular_m, n, step, free_);
    if (o->rotation_weight > 0.0) {
        for (int k = 0; k < 3; k++) {
            const double *row = jacobian + (3 + k) * n;
            left[k] = o->rotation_weight * twist[k] - dot(row, step, n);
            for (int j = 0; j < n; j++) {
                turning[k * n + j] = 0.0;
                for (int i = 0; i < n; i++)
                    turning[k * n + j] += row[i] * free_[i * n + j];
            }
        }
        prioritized(turning, left, o->singular_rad, n, step, free_);
    }
    if (bias) {
        double moved[MOST];
        for (int i = 0; i < n; i++)
            moved[i] = dot(free_ + i * n, bias, n);
        for (int i = 0; i < n; i++)
            step[i] += moved[i];
    }
}

/* A step that leaves out the joints that it would push through limits at which they stand. */
static void unblocked(const Chain *chain, const Posture *at, const double *away, const double *twist,
                      const double *bias, const Options *o, double *step)
{
    int n = chain->count;
    double jacobian[6 * MOST], largest = 0.0;
    memcpy(jacobian, at->jacobian, sizeof(double) * 6 * n);
    stepped(jacobian, away, twist, bias, n, o, step);
    for (int again = 0; again < 2; again++) {
        int blocked = 0;
        for (int i = 0; i < n; i++)
            if ((at->q[i] >= chain->upper[i] && step[i] > 0.0) || (at->q[i] <= chain->lower[i] && step[i] < 0.0)) {
                blocked = 1;
                for (int k = 0; k < 6; k++)
                    jacobian[k * n + i] = 0.0;
            }
        if (!blocked)
            break;
        stepped(jacobian, away, twist, bias, n, o, step);
    }
    for (int i = 0; i < n; i++)
        largest = fabs(step[i]) > largest ? fabs(step[i]) : largest;
    if (largest > o->step_max_rad)
        for (int i = 0; i < n; i++)
            step[i] *= o->step_max_rad / largest;
}

static void approached(const Chain *chain, const double *target, const Options *o, Posture *at, double *errors)
{
    int n = chain->count;
    double turn[4] = {0.0, 0.0, 0.0, 1.0}, length = sqrt(dot(target + 3, target + 3, 4));
    double bias[MOST], away[3], twist[3], step[MOST], q[MOST];
    for (int k = 0; k < 4 && length >= TINY; k++)
        turn[k] = target[3 + k] / length;
    for (int i = 0; i < n; i++)
        bias[i] = o->home_gain * (chain->home[i] - at->q[i]);
    for (int iteration = 0;; iteration++) {
        for (int k = 0; k < 3; k++)
            away[k] = target[k] - at->pose[k];
        difference(turn, at->pose + 3, twist);
        errors[0] = sqrt(dot(away, away, 3)), errors[1] = sqrt(dot(twist, twist, 3));
        if (errors[0] < o->tolerance_m && (errors[1] < o->tolerance_rad || o->rotation_weight == 0.0))
            return;
        if (iteration == o->iterations)
            return;
        unblocked(chain, at, away, twist, iteration == 0 && n > 6 ? bias : NULL, o, step);
        for (int i = 0; i < n; i++)
            q[i] = clamped(at->q[i] + step[i], chain->lower[i], chain->upper[i]);
        placed(chain, q, at);
    }
}

/* --- Python */

/* Copy `count` float64 from an array, or say what came instead. */
static int taken(PyObject *from, double *into, Py_ssize_t count, const char *what)
{
    Py_buffer view;
    if (PyObject_GetBuffer(from, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0)
        return -1;
    int fits = view.len == count * (Py_ssize_t)sizeof(double) && view.format && !strcmp(view.format, "d");
    if (fits)
        memcpy(into, view.buf, view.len);
    else
        PyErr_Format(PyExc_ValueError, "expected %s to be %zd contiguous float64, got %zd bytes of format %s", what,
                     count, view.len, view.format ? view.format : "B");
    PyBuffer_Release(&view);
    return fits ? 0 : -1;
}

/* Copy `count` float64 into a writable array. */
static int given(PyObject *into, const double *from, Py_ssize_t count, const char *what)
{
    Py_buffer view;
    if (PyObject_GetBuffer(into, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE) < 0)
        return -1;
    int fits = view.len == count * (Py_ssize_t)sizeof(double) && view.format && !strcmp(view.format, "d");
    if (fits)
        memcpy(view.buf, from, view.len);
    else
        PyErr_Format(PyExc_ValueError, "expected %s to hold %zd contiguous float64, got %zd bytes", what, count,
                     view.len);
    PyBuffer_Release(&view);
    return fits ? 0 : -1;
}

static PyObject *chain_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    PyObject *order, *rotates, *axes, *basis, *tip, *lower, *upper, *home;
    if ((kwds && PyDict_GET_SIZE(kwds)) || !PyArg_ParseTuple(args, "O!O!OOOOOO", &PyTuple_Type, &order, &PyTuple_Type,
                                                             &rotates, &axes, &basis, &tip, &lower, &upper, &home)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "Chain takes no keywords");
        return NULL;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(order);
    if (count < 1 || count > MOST || PyTuple_GET_SIZE(rotates) != count)
        return PyErr_Format(PyExc_ValueError, "expected 1 to %d joints on a chain, got %zd", MOST, count);
    Chain *self = (Chain *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->count = (int)count;
    int sound = 1, seen = 0;
    for (Py_ssize_t n = 0; n < count && sound; n++) {
        long at = PyLong_AsLong(PyTuple_GET_ITEM(order, n));
        self->order[n] = (int)at;
        self->rotates[n] = PyObject_IsTrue(PyTuple_GET_ITEM(rotates, n));
        sound = !PyErr_Occurred() && at >= 0 && at < count && !(seen & 1 << at);
        seen |= sound ? 1 << at : 0;
    }
    if (!sound && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "expected an order of the chain's own joints");
    if (!sound || taken(axes, &self->axes[0][0], 3 * count, "axes") < 0
        || taken(basis, &self->basis[0][0][0], 48 * count, "basis") < 0 || taken(tip, self->tip, 12, "tip") < 0
        || taken(lower, self->lower, count, "lower") < 0 || taken(upper, self->upper, count, "upper") < 0
        || taken(home, self->home, count, "home") < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void chain_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *chain_place(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Chain *chain = (Chain *)self;
    Posture at;
    double q[MOST];
    if (nargs != 3)
        return PyErr_Format(PyExc_TypeError, "expected q, pose and jacobian, got %zd arguments", nargs);
    if (taken(args[0], q, chain->count, "q") < 0)
        return NULL;
    placed(chain, q, &at);
    if (given(args[1], at.pose, 7, "pose") < 0 || given(args[2], at.jacobian, 6 * chain->count, "jacobian") < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *chain_approach(PyObject *self, PyObject *args)
{
    Chain *chain = (Chain *)self;
    PyObject *start, *target, *q_out, *pose_out, *jacobian_out;
    Options o;
    Posture at;
    double q[MOST], goal[7], errors[2];
    if (!PyArg_ParseTuple(args, "OO(iddddddd)OOO", &start, &target, &o.iterations, &o.rotation_weight, &o.home_gain,
                          &o.step_max_rad, &o.singular_m, &o.singular_rad, &o.tolerance_m, &o.tolerance_rad, &q_out,
                          &pose_out, &jacobian_out))
        return NULL;
    if (taken(start, q, chain->count, "start") < 0 || taken(target, goal, 7, "target") < 0)
        return NULL;
    placed(chain, q, &at);
    approached(chain, goal, &o, &at, errors);
    if (given(q_out, at.q, chain->count, "q") < 0 || given(pose_out, at.pose, 7, "pose") < 0
        || given(jacobian_out, at.jacobian, 6 * chain->count, "jacobian") < 0)
        return NULL;
    return Py_BuildValue("(dd)", errors[0], errors[1]);
}

static PyObject *chain_condition(PyObject *self, PyObject *jacobian)
{
    Chain *chain = (Chain *)self;
    double values[6 * MOST];
    if (taken(jacobian, values, 6 * chain->count, "jacobian") < 0)
        return NULL;
    return PyFloat_FromDouble(condition(values, chain->count >= 6 ? 6 : 3, chain->count));
}

static PyObject *chain_within(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Chain *chain = (Chain *)self;
    int count = chain->count;
    double lower[3], upper[3];
    Posture at;
    Py_buffer path;
    if (nargs != 3)
        return PyErr_Format(PyExc_TypeError, "expected path, lower and upper, got %zd arguments", nargs);
    if (taken(args[1], lower, 3, "lower") < 0 || taken(args[2], upper, 3, "upper") < 0)
        return NULL;
    if (PyObject_GetBuffer(args[0], &path, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0)
        return NULL;
    if (path.ndim != 2 || path.shape[1] != count || !path.format || strcmp(path.format, "d")) {
        PyErr_Format(PyExc_ValueError, "expected a path (N, %d) of contiguous float64, got %zd bytes", count, path.len);
        PyBuffer_Release(&path);
        return NULL;
    }
    int inside = 1;
    for (Py_ssize_t row = 0; row < path.shape[0] && inside; row++) {
        placed(chain, (const double *)path.buf + row * count, &at);
        for (int k = 0; k < 3; k++)
            inside = inside && at.pose[k] >= lower[k] && at.pose[k] <= upper[k];
    }
    PyBuffer_Release(&path);
    return PyBool_FromLong(inside);
}

static PyObject *chain_away(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Chain *chain = (Chain *)self;
    double q[MOST], goal[7], linear[3], turn[3];
    Posture at;
    if (nargs != 2)
        return PyErr_Format(PyExc_TypeError, "expected q and target, got %zd arguments", nargs);
    if (taken(args[0], q, chain->count, "q") < 0 || taken(args[1], goal, 7, "target") < 0)
        return NULL;
    placed(chain, q, &at);
    for (int k = 0; k < 3; k++)
        linear[k] = goal[k] - at.pose[k];
    difference(goal + 3, at.pose + 3, turn);
    return Py_BuildValue("(dd)", sqrt(dot(linear, linear, 3)), sqrt(dot(turn, turn, 3)));
}

/* Move a pose (7) by a way (3) and a rotation vector (3), but not out of a box, or not farther than it is out already;
 * return whether the box held it back.
 */
static int moved(const double *pose, const double *way, const double *turn, const double *lower, const double *upper,
                 double *out)
{
    int held = 0;
    for (int k = 0; k < 3; k++) {
        double there = pose[k] + way[k];
        out[k] = clamped(there, lower[k] < pose[k] ? lower[k] : pose[k], upper[k] > pose[k] ? upper[k] : pose[k]);
        held |= out[k] != there;
    }
    double angle = sqrt(dot(turn, turn, 3)), scale = angle < TINY ? 0.5 : sin(0.5 * angle) / angle;
    double ax = turn[0] * scale, ay = turn[1] * scale, az = turn[2] * scale, aw = cos(0.5 * angle);
    double bx = pose[3], by = pose[4], bz = pose[5], bw = pose[6];
    out[3] = aw * bx + ax * bw + ay * bz - az * by;
    out[4] = aw * by - ax * bz + ay * bw + az * bx;
    out[5] = aw * bz + ax * by - ay * bx + az * bw;
    out[6] = aw * bw - ax * bx - ay * by - az * bz;
    double length = sqrt(dot(out + 3, out + 3, 4));
    for (int k = 3; k < 7; k++)
        out[k] = length < TINY ? (double)(k == 6) : out[k] / length;
    return held;
}

static PyObject *native_moved(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    double pose[7], way[3], turn[3], lower[3], upper[3], out[7];
    (void)self;
    if (nargs != 6)
        return PyErr_Format(PyExc_TypeError, "expected pose, way, turn, lower, upper and out, got %zd arguments", nargs);
    if (taken(args[0], pose, 7, "pose") < 0 || taken(args[1], way, 3, "way") < 0 || taken(args[2], turn, 3, "turn") < 0
        || taken(args[3], lower, 3, "lower") < 0 || taken(args[4], upper, 3, "upper") < 0)
        return NULL;
    int held = moved(pose, way, turn, lower, upper, out);
    if (given(args[5], out, 7, "out") < 0)
        return NULL;
    return PyBool_FromLong(held);
}

static PyMethodDef functions[] = {
    {"moved", (PyCFunction)(void (*)(void))native_moved, METH_FASTCALL,
     "moved(pose, way, turn, lower, upper, out): fill `out` (7,) with `pose` moved by `way` and rotation vector `turn`, "
     "not out of the box, or not farther than it is; return whether the box held it back."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef chain_methods[] = {
    {"within", (PyCFunction)(void (*)(void))chain_within, METH_FASTCALL,
     "within(path, lower, upper): whether joint positions (N, J) all put the end between two corners (3,)."},
    {"away", (PyCFunction)(void (*)(void))chain_away, METH_FASTCALL,
     "away(q, target): how far `q` (J,) is from `target` (7,), of unit quaternion: m and rad."},
    {"place", (PyCFunction)(void (*)(void))chain_place, METH_FASTCALL,
     "place(q, pose, jacobian): fill `pose` (7,) and `jacobian` (6, J) with those at `q` (J,)."},
    {"approach", chain_approach, METH_VARARGS,
     "approach(start, target, options, q, pose, jacobian): step from `start` (J,) towards `target` (7,); fill the last "
     "three with where that ends; return how far it is from the target, m and rad."},
    {"condition", chain_condition, METH_O,
     "Return the condition number of a Jacobian (6, J), of its translation alone with fewer than six joints."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot chain_slots[] = {
    {Py_tp_new, chain_new},
    {Py_tp_dealloc, chain_dealloc},
    {Py_tp_methods, chain_methods},
    {Py_tp_doc, "A chain of joints: Chain(order, rotates, axes, basis, tip, lower, upper, home)."},
    {0, NULL},
};

static PyType_Spec chain_spec = {
    .name = "sim.motion._native.Chain",
    .basicsize = sizeof(Chain),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = chain_slots,
};

static int filled(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&chain_spec);
    int failed = !type || PyModule_AddObjectRef(module, "Chain", type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, filled}, {0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "The arithmetic of sim.motion.kinematics.",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&module);
}
