using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Memory scopes, the record and the walk back, on every device.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.All))]
public sealed class TapeTests(string id)
{
    private static readonly float[] Numbers = [-2, -1, -0.5f, 0.25f, 1, 3];

    private Device Opened => TestDevices.Open(id);

    [TearDown]
    public void LookForStrayWrites() => OpChecks.AssertNoStrayWrites(Opened);

    [Test]
    public void Memory_is_as_before_after_steps()
    {
        int steps = id == "emulator" ? 3 : 100;
        using var parameters = NewParameters(out var scale);
        Step(scale);
        var before = Opened.Memory;
        for (int i = 0; i < steps; i++)
            Step(scale);
        Assert.That(Opened.Memory, Is.EqualTo(before));
    }

    [Test]
    public void Memory_is_as_before_when_a_record_is_abandoned()
    {
        using var parameters = NewParameters(out var scale);
        long before = Opened.Memory.Live;
        using (var tape = Opened.NewTape())
            Loss(tape, scale);
        Assert.That(Opened.Memory.Live, Is.EqualTo(before));
    }

    [Test]
    public void Scope_returns_what_was_made_inside()
    {
        using var tape = Opened.NewTape(recording: false);
        var x = tape.Constant([6], Numbers);
        long before = Opened.Memory.Live;
        Tensor kept;
        using (var scope = tape.Scope())
        {
            var y = tape.Silu(x);
            kept = scope.Keep(tape.Add(x, y));
            tape.Silu(kept);
        }
        using var alone = Opened.NewTensor([6]);
        Assert.That(Opened.Memory.Live - before, Is.EqualTo(2 * (alone.Storage.Block.Capacity * sizeof(float))));
        Assert.That(kept.ToArray()[5], Is.EqualTo(3 + (3 / (1 + Math.Exp(-3)))).Within(1e-5));
    }

    [Test]
    public void Scope_leaves_what_the_backward_pass_needs()
    {
        using var tape = Opened.NewTape();
        var x = tape.Constant([6], Numbers);
        tape.Watch(x);
        Tensor y;
        using (var scope = tape.Scope())
            y = scope.Keep(tape.Silu(tape.Silu(tape.Silu(x))));
        tape.Constant([6], new float[6]); // would take the memory of an intermediate that was freed too early
        tape.Backward(y, tape.Constant([6], [1, 1, 1, 1, 1, 1]));
        double slope = SiluSlope(1) * SiluSlope(SiluOf(1)) * SiluSlope(SiluOf(SiluOf(1)));
        Assert.That(tape.Gradient(x)!.ToArray()[4], Is.EqualTo(slope).Within(1e-6));
    }

    [Test]
    public void Scopes_end_in_reverse_order_only()
    {
        using var tape = Opened.NewTape();
        var outer = tape.Scope();
        using var inner = tape.Scope();
        Assert.That(outer.Dispose, Throws.InvalidOperationException.With.Message.Contains("reverse order"));
    }

    [Test]
    public void Kept_tensor_outlives_its_tape()
    {
        long before = Opened.Memory.Live;
        Tensor kept;
        using (var tape = Opened.NewTape())
            kept = tape.Keep(tape.Add(tape.Constant([6], Numbers), tape.Constant([6], Numbers)));
        Assert.That(kept.ToArray(), Is.EqualTo(Array.ConvertAll(Numbers, x => 2 * x)));
        kept.Dispose();
        Assert.That(Opened.Memory.Live, Is.EqualTo(before));
    }

    [Test]
    public void Dead_tensor_says_how_to_keep_it()
    {
        Tensor dead;
        using (var tape = Opened.NewTape())
            dead = tape.Constant([6], Numbers);
        Assert.That(dead.ToArray, Throws.TypeOf<ObjectDisposedException>().With.Message.Contains("[6]").And.Message.Contains("Keep"));
    }

    [Test]
    public void Keep_refuses_a_tensor_of_anotherOpened()
    {
        using var other = Device.Open("cpu");
        using var foreign = other.NewTensor([6], Numbers);
        using var tape = Opened.NewTape();
        Assert.That(() => tape.Keep(foreign), Throws.ArgumentException.With.Message.Contains($"this tape on {id}"));
    }

    [Test]
    public void Backward_adds_to_a_parameter_until_its_gradient_is_cleared()
    {
        using var parameters = NewParameters(out var scale);
        float[] once = Step(scale), twice = Step(scale);
        parameters.ClearGradients();
        float[] again = Step(scale);
        Assert.That(twice, Is.EqualTo(once.Select(g => 2 * g)).Within(1e-5));
        Assert.That(again, Is.EqualTo(once));
        Assert.That(once, Has.Some.Not.Zero);
    }

    [Test]
    public void Backward_multiplies_by_its_scale()
    {
        using var parameters = NewParameters(out var scale);
        float[] whole = Step(scale);
        parameters.ClearGradients();
        float[] quarter = Step(scale, 0.25f);
        Assert.That(quarter, Is.EqualTo(whole.Select(g => g / 4)).Within(1e-6));
    }

    [Test]
    public void Gradients_of_parameters_that_were_not_reached_read_zero()
    {
        var reached = new Parameter("reached", [1, 6], trainable: true);
        var other = new Parameter("other", [70], trainable: true);
        using var parameters = new ParameterSet(Opened, [reached, other]);
        using (var tape = Opened.NewTape())
            tape.Backward(tape.MeanSquaredError(reached, tape.Constant([1, 6], Numbers)));
        Assert.That(parameters.Gradients.ToArray()[0], Is.EqualTo(4.0 / 6).Within(1e-6));
        Assert.That(other.Gradient!.ToArray(), Is.All.Zero);
    }

    [Test]
    public void Gradients_are_right_when_a_residual_shares_them()
    {
        // Both sums pass their gradient on unchanged, to a branch and past it.
        var chain = new OpCase("chain of residuals", [new OpInput("x", [3, 7])], (tape, t) =>
        {
            var middle = tape.Add(t[0], tape.Silu(t[0]));
            tape.Watch(middle);
            return tape.Add(middle, tape.Silu(tape.Add(middle, middle)));
        }, v => Array.ConvertAll(v[0], x =>
        {
            double middle = x + SiluOf(x);
            return middle + SiluOf(2 * middle);
        }));
        var checks = new OpChecks(Opened);
        checks.Result(chain);
        checks.Gradients(chain);
        checks.Accumulation(chain);
    }

    [Test]
    public void Watched_intermediate_keeps_its_own_gradient()
    {
        using var tape = Opened.NewTape();
        Tensor x = tape.Constant([6], Numbers), other = tape.Constant([6], Numbers);
        tape.Watch(x);
        tape.Watch(other);
        var sum = tape.Add(x, other);
        tape.Watch(sum);
        // x receives the gradient of the sum and then more.
        tape.Backward(tape.Add(tape.Silu(sum), x), tape.Constant([6], [1, 1, 1, 1, 1, 1]));
        double slope = SiluSlope(2);
        Assert.That(tape.Gradient(sum)!.ToArray()[4], Is.EqualTo(slope).Within(1e-6));
        Assert.That(tape.Gradient(other)!.ToArray()[4], Is.EqualTo(slope).Within(1e-6));
        Assert.That(tape.Gradient(x)!.ToArray()[4], Is.EqualTo(slope + 1).Within(1e-6));
    }

    [Test]
    public void Gradient_flows_through_a_reshape()
    {
        using var tape = Opened.NewTape();
        var x = tape.Constant([6], Numbers);
        tape.Watch(x);
        tape.Backward(tape.Silu(x.Reshape([2, 3])), tape.Constant([2, 3], [1, 1, 1, 1, 1, 1]));
        Assert.That(tape.Gradient(x)!.Shape, Is.EqualTo(Shape.Create([6])));
        Assert.That(tape.Gradient(x)!.ToArray()[4], Is.EqualTo(SiluSlope(1)).Within(1e-6));
    }

    [Test]
    public void Gradient_is_null_where_none_arrived()
    {
        using var tape = Opened.NewTape();
        Tensor x = tape.Constant([6], Numbers), unused = tape.Constant([6], Numbers);
        tape.Watch(x);
        tape.Watch(unused);
        tape.Backward(tape.Silu(x), tape.Constant([6], Numbers));
        Assert.That(tape.Gradient(unused), Is.Null);
    }

    [Test]
    public void Backward_refuses_what_cannot_be_differentiated()
    {
        using var inference = Opened.NewTape(recording: false);
        using var tape = Opened.NewTape();
        Tensor x = tape.Constant([1], [1]), y = inference.Constant([1], [1]);
        Assert.That(() => inference.Backward(y), Throws.InvalidOperationException.With.Message.Contains("recording: true"));
        Assert.That(() => tape.Backward(x), Throws.InvalidOperationException.With.Message.Contains("watched"));
        Assert.That(() => tape.Backward(tape.Constant([6], Numbers)), Throws.TypeOf<ShapeException>());
    }

    /// <summary>A forward and a backward pass; the parameter's gradient.</summary>
    private float[] Step(Parameter scale, float factor = 1)
    {
        using (var tape = Opened.NewTape())
            tape.Backward(Loss(tape, scale), factor);
        return scale.Gradient!.ToArray();
    }

    private static Tensor Loss(Tape tape, Parameter scaleShift)
    {
        var x = tape.Constant([2, 3], Numbers);
        var y = tape.Silu(tape.ScaleShift(x, scaleShift));
        return tape.MeanSquaredError(tape.Add(y, x), tape.Constant([2, 3], new float[6]));
    }

    private ParameterSet NewParameters(out Parameter scaleShift)
    {
        scaleShift = new Parameter("scaleShift", [2, 6], trainable: true);
        var parameters = new ParameterSet(Opened, [scaleShift]);
        scaleShift.Value.CopyFrom([.. Numbers, .. Numbers]);
        return parameters;
    }

    private static double SiluOf(double x) => x / (1 + Math.Exp(-x));

    private static double SiluSlope(double x)
    {
        double sigmoid = 1 / (1 + Math.Exp(-x));
        return sigmoid * (1 + (x * (1 - sigmoid)));
    }
}
