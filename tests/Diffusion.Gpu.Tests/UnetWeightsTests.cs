using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Weights;

namespace Diffusion.Gpu.Tests;

[TestFixture]
public class UnetWeightsTests
{
    private static readonly UnetOptions Options = new()
    {
        Dim = 8, DimMults = [1, 2], RandomFourierFeatures = true, AttnHeads = 2, AttnDimHead = 4,
    };

    private static Device Device => TestDevices.Open("cpu");

    [Test]
    public void Weights_survive_a_file()
    {
        string path = Path.Combine(TestContext.CurrentContext.WorkDirectory, "unet-weights.safetensors");
        using Unet saved = new(Device, Options, seed: 1), loaded = new(Device, Options, seed: 2);
        using Tensor moment = saved.Parameters.NewState(), loadedMoment = loaded.Parameters.NewState();
        moment.CopyFrom([.. Enumerable.Range(0, (int)moment.Count).Select(i => (float)i)]);
        var tensors = UnetWeights.Save(saved, "model.").Concat(UnetWeights.SaveState(saved, moment, "moment."));
        SafetensorsWriter.Write(path, new Dictionary<string, string>(), tensors);
        using (var file = SafetensorsReader.Open(path))
        {
            foreach (var slot in saved.Layout.Slots)
                Assert.That(file.Entry("model." + slot.Name).Shape, Is.EqualTo(slot.FileShape.Extents.ToArray()), slot.Name);
            UnetWeights.Load(loaded, file, path, "model.");
            UnetWeights.LoadState(loaded, loadedMoment, file, path, "moment.");
        }
        File.Delete(path);
        foreach (var (a, b) in saved.Parameters.All.Zip(loaded.Parameters.All))
            Assert.That(b.Value.ToArray(), Is.EqualTo(a.Value.ToArray()), a.Name);
        foreach (var (a, b) in saved.Parameters.All.Zip(loaded.Parameters.All).Where(pair => pair.First.IsTrainable))
        {
            float[] values = saved.Parameters.StateOf(moment, a).ToArray();
            Assert.That(loaded.Parameters.StateOf(loadedMoment, b).ToArray(), Is.EqualTo(values), a.Name);
        }
    }

    [Test]
    public void Load_lists_every_tensor_that_does_not_fit_and_changes_nothing()
    {
        using var unet = new Unet(Device, Options, seed: 1);
        float[] before = unet.Parameters.Values.ToArray();
        var entries = unet.Layout.Slots.Where(slot => slot.Name is not ("init_conv.weight" or "mid_attn.mem_kv"))
            .Select(slot => Entry(slot.Name, slot.Name == "final_conv.bias" ? [4] : slot.FileShape.Extents.ToArray()))
            .Append(Entry("label_emb.weight", [10, 32]));
        Assert.That(() => UnetWeights.Load(unet, "some.file", entries, _ => []), Throws.TypeOf<WeightsException>().With.Message
            .StartsWith("some.file: 2 missing (init_conv.weight [8, 3, 7, 7], mid_attn.mem_kv [2, 2, 4, 4]); "
                + "1 left over (label_emb.weight); 1 of another shape (final_conv.bias [4] instead of [3]); expected the "));
        Assert.That(unet.Parameters.Values.ToArray(), Is.EqualTo(before));
    }

    [Test]
    public void Initial_weights_depend_on_the_seed_alone_and_have_pytorch_bounds()
    {
        using Unet first = new(Device, Options, seed: 1), again = new(Device, Options, seed: 1), other = new(Device, Options, seed: 2);
        Assert.That(again.Parameters.Values.ToArray(), Is.EqualTo(first.Parameters.Values.ToArray()));
        Assert.That(other.Parameters.Values.ToArray(), Is.Not.EqualTo(first.Parameters.Values.ToArray()));
        float[] Values(string name) => first.Parameters.All.Single(p => p.Name == name).Value.ToArray();
        Assert.That(Values("downs.0.0.block1.norm.g"), Has.All.EqualTo(1f));
        AssertUniform(Values("init_conv.weight"), 1 / Math.Sqrt(3 * 49));
        AssertUniform(Values("downs.1.0.mlp.1.weight"), 1 / Math.Sqrt(32));
        AssertUniform(Values("ups.0.0.block1.proj.weight"), 1 / Math.Sqrt(24 * 9));
        float[] memory = Values("mid_attn.mem_kv");
        Assert.That(Math.Sqrt(memory.Average(v => v * v)), Is.EqualTo(1).Within(0.3));
    }

    [Test]
    public void Dropout_changes_the_output_only_when_numbers_are_given()
    {
        using var unet = new Unet(Device, Options with { RandomFourierFeatures = false, Dropout = 0.5f }, seed: 1);
        float[] Output(RandomKey? key)
        {
            using var tape = Device.NewTape(recording: false);
            var x = tape.Normal([1, 4, 4, 3], new RandomKey(9, 0, 0));
            return unet.Forward(tape, x, tape.Constant([1], [3f]), dropout: key).ToArray();
        }
        float[] kept = Output(null), dropped = Output(new RandomKey(1, 0, 0));
        Assert.That(dropped, Is.Not.EqualTo(kept));
        Assert.That(Output(new RandomKey(1, 0, 0)), Is.EqualTo(dropped));
        Assert.That(Output(new RandomKey(1, 0, 1)), Is.Not.EqualTo(dropped));
    }

    [Test]
    public void Forward_names_inputs_that_do_not_fit()
    {
        using var unet = new Unet(Device, Options, seed: 1);
        using var tape = Device.NewTape(recording: false);
        var times = tape.Constant([1], [0f]);
        Tensor odd = tape.Constant([1, 5, 4, 3], new float[60]), fit = tape.Constant([1, 4, 4, 3], new float[48]);
        AssertRefused(() => unet.Forward(tape, odd, times), "Unet: x is [1, 5, 4, 3], expected a height and width divisible by 2");
        AssertRefused(() => unet.Forward(tape, fit, fit), "times is [1, 4, 4, 3], expected [1]");
        AssertRefused(() => unet.Forward(tape, fit, times, fit), "expected null for a network without self-condition");
    }

    private static void AssertRefused(Func<Tensor> run, string message)
        => Assert.That(run, Throws.TypeOf<ShapeException>().With.Message.Contains(message));

    private static TensorEntry Entry(string name, int[] shape)
        => new(name, ElementType.F32, shape, 4L * shape.Aggregate(1, (product, size) => product * size));

    private static void AssertUniform(float[] values, double bound)
    {
        Assert.That(values, Has.All.InRange(-(float)bound, (float)bound));
        Assert.That(values.Max(), Is.GreaterThan(0.9 * bound));
        Assert.That(values.Min(), Is.LessThan(-0.9 * bound));
        Assert.That(values.Average(), Is.EqualTo(0).Within(0.1 * bound));
    }
}
