using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Tests;

[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class UnetTests(string id)
{
    private const double OutputFloor = 1e-5;
    private const double GradientFloor = 5e-5;

    private Device Device => TestDevices.Open(id);

    private static string[] Cases => UnetGolden.Names;

    [TestCaseSource(nameof(Cases))]
    public void Unet_gives_the_reference_output_and_gradients(string name)
    {
        using var golden = GoldenFile.Open("unet/" + name);
        using var gradients = GoldenFile.Open($"unet/{name}.grads");
        using var unet = UnetGolden.Network(Device, UnetGolden.Options(golden), golden, "param.");
        using (var tape = Device.NewTape())
        {
            var x = UnetGolden.Image(tape, golden, "in.x");
            tape.Watch(x);
            var output = Forward(tape, unet, golden, x);
            AssertNear(UnetGolden.Deviation(output, golden, "out"), golden, "out", OutputFloor);
            tape.Backward(output, UnetGolden.Image(tape, golden, "upstream"));
            AssertNear(UnetGolden.Deviation(tape.Gradient(x)!, golden, "grad.in.x"), golden, "grad.in.x", GradientFloor);
        }
        UnetGolden.AssertGradients(unet, gradients, GradientFloor, unet.Layout.Slots.Where(slot => slot.IsTrainable).Select(s => s.Name));
        Assert.That(Device.TakeStrayWrites(), Is.Empty);
    }

    [TestCaseSource(nameof(Cases))]
    public void Unet_gives_the_same_output_when_nothing_is_recorded(string name)
    {
        using var golden = GoldenFile.Open("unet/" + name);
        using var unet = UnetGolden.Network(Device, UnetGolden.Options(golden), golden, "param.");
        using var tape = Device.NewTape(recording: false);
        var output = Forward(tape, unet, golden, UnetGolden.Image(tape, golden, "in.x"));
        AssertNear(UnetGolden.Deviation(output, golden, "out"), golden, "out", OutputFloor);
    }

    private static Tensor Forward(Tape tape, Unet unet, GoldenFile golden, Tensor x)
    {
        float[] times = UnetGolden.Times(golden, "in.time");
        var selfCondition = golden.Contains("in.x_self_cond") ? UnetGolden.Image(tape, golden, "in.x_self_cond") : null;
        return unet.Forward(tape, x, tape.Constant([times.Length], times), selfCondition);
    }

    private static void AssertNear(double deviation, GoldenFile golden, string name, double floor)
        => Assert.That(deviation, Is.LessThanOrEqualTo(golden.Tolerance(name, floor)), name);
}
